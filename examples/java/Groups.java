import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Prints each group of a Trapline groups topic as a line of JSON; docs/consumers.md says how and why.
 *
 * <p>Arguments: BOOTSTRAP_SERVERS TOPIC_PREFIX CONSUMER_GROUP [NUMBER_OF_GROUPS]
 */
public final class Groups {
  private static final int LARGEST_RECORD = 66 * 1024 * 1024; // max.message.bytes of the topic
  private static final int CARD = 80; // bytes of a FITS header line
  private static final int BLOCK = 2880; // headers and pixels are padded to a multiple of this

  public static void main(String[] args) throws Exception {
    if (args.length < 3) {
      System.err.println("arguments: BOOTSTRAP_SERVERS TOPIC_PREFIX CONSUMER_GROUP [NUMBER_OF_GROUPS]");
      System.exit(2);
    }
    long wanted = args.length > 3 ? Long.parseLong(args[3]) : Long.MAX_VALUE;
    Map<String, Object> settings =
        Map.of(
            ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0],
            ConsumerConfig.GROUP_ID_CONFIG, args[2],
            ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed", // the default shows aborted groups
            ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
            ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest",
            ConsumerConfig.FETCH_MAX_BYTES_CONFIG, LARGEST_RECORD,
            ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, LARGEST_RECORD);
    ObjectMapper json = new ObjectMapper();
    Map<Integer, Assembler> assemblers = new HashMap<>(); // by partition
    try (var consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
      consumer.subscribe(List.of(args[1] + ".groups"));
      for (long found = 0; found < wanted; ) {
        for (var record : consumer.poll(Duration.ofSeconds(1))) {
          var images = assemblers.computeIfAbsent(record.partition(), p -> new Assembler()).add(record);
          if (images.isEmpty() || found == wanted) {
            continue;
          }
          System.out.println(json.writeValueAsString(describe(images)));
          // Not before: a restart begins at the first image of the first group that was not printed.
          consumer.commitSync(
              Map.of(
                  new TopicPartition(record.topic(), record.partition()),
                  new OffsetAndMetadata(record.offset() + 1)));
          found++;
        }
      }
    }
  }

  /** The images of one partition, put together. */
  private static final class Assembler {
    private final TreeMap<Integer, ConsumerRecord<String, byte[]>> images = new TreeMap<>();
    private String id;
    private int size;

    /** Takes the next image; returns its group's images in order if it was the last, else none. */
    List<ConsumerRecord<String, byte[]>> add(ConsumerRecord<String, byte[]> image) {
      String itsId = header(image, "ce_groupid");
      if (!images.isEmpty() && !itsId.equals(id)) {
        // The rest of that group will not come: retention took its start, or reading began in its middle.
        System.err.printf("skipped %s: %d of %d images%n", id, images.size(), size);
        images.clear();
      }
      id = itsId;
      size = Integer.parseInt(header(image, "ce_groupsize"));
      images.put(Integer.parseInt(header(image, "ce_groupindex")), image);
      if (images.size() < size) {
        return List.of();
      }
      var whole = List.copyOf(images.values());
      images.clear();
      return whole;
    }
  }

  private static Map<String, Object> describe(List<ConsumerRecord<String, byte[]>> images) {
    var first = images.get(0);
    String missing = header(first, "ce_groupmissing");
    var group = new LinkedHashMap<String, Object>();
    group.put("timestamp", header(first, "ce_time"));
    group.put("group", header(first, "ce_groupid"));
    group.put("complete", Boolean.parseBoolean(header(first, "ce_groupcomplete")));
    group.put("missing", missing.isEmpty() ? List.of() : List.of(missing.split(",")));
    group.put("revision", Integer.parseInt(header(first, "ce_grouprevision")));
    group.put("partition", first.partition());
    var described = new ArrayList<Map<String, Object>>();
    for (var image : images) {
      var each = new LinkedHashMap<String, Object>();
      each.put("source", header(image, "ce_subject"));
      each.put("digest", header(image, "ce_digest"));
      each.put("bytes", image.value().length);
      each.put("checksum_ok", checksumHolds(image.value()));
      each.putAll(decode(image.value()));
      described.add(each);
    }
    group.put("images", described);
    return group;
  }

  /** All 32-bit words of a FITS file with a CHECKSUM add up to -0 in ones' complement. */
  private static boolean checksumHolds(byte[] fits) {
    var words = ByteBuffer.wrap(fits).asIntBuffer(); // big-endian, as FITS is
    long sum = 0;
    while (words.hasRemaining()) {
      sum += Integer.toUnsignedLong(words.get());
    }
    while (sum >>> 32 != 0) {
      sum = (sum & 0xffffffffL) + (sum >>> 32);
    }
    return sum == 0xffffffffL;
  }

  /** The axes (NAXIS1, which varies fastest, first) and the brightest of the pixels. */
  private static Map<String, Object> decode(byte[] fits) {
    var cards = new HashMap<String, String>();
    int at = 0;
    for (; !new String(fits, at, 8, US_ASCII).equals("END     "); at += CARD) {
      String card = new String(fits, at, CARD, US_ASCII);
      if (card.startsWith("= ", 8)) {
        cards.put(card.substring(0, 8).strip(), card.substring(10).split("/", 2)[0].strip());
      }
    }
    var axes = new ArrayList<Integer>();
    int count = 1;
    for (int n = 1; n <= Integer.parseInt(cards.get("NAXIS")); n++) {
      axes.add(Integer.valueOf(cards.get("NAXIS" + n)));
      count *= axes.get(n - 1);
    }
    int start = (at + CARD + BLOCK - 1) / BLOCK * BLOCK;
    var pixels = ByteBuffer.wrap(fits, start, count * Float.BYTES).asFloatBuffer();
    float brightest = Float.NEGATIVE_INFINITY;
    while (pixels.hasRemaining()) {
      float flux = pixels.get();
      if (Float.isFinite(flux) && flux > brightest) {
        brightest = flux;
      }
    }
    return Map.of("axes", axes, "brightest", brightest);
  }

  private static String header(ConsumerRecord<?, ?> record, String name) {
    return new String(record.headers().lastHeader(name).value(), UTF_8);
  }

  private Groups() {}
}
