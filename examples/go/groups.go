// Groups prints each group of a Trapline groups topic as a line of JSON; docs/consumers.md says how and why.
//
//	groups BOOTSTRAP_SERVERS TOPIC_PREFIX CONSUMER_GROUP [NUMBER_OF_GROUPS]
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	largestRecord = 66 << 20 // max.message.bytes of the topic
	card          = 80       // bytes of a FITS header line
	block         = 2880     // headers and pixels are padded to a multiple of this
)

// Group is what is printed.
type Group struct {
	Timestamp string   `json:"timestamp"`
	ID        string   `json:"group"`
	Complete  bool     `json:"complete"`
	Missing   []string `json:"missing"`
	Revision  int      `json:"revision"`
	Partition int32    `json:"partition"`
	Images    []Image  `json:"images"`
}

// Image is one image of a group. Axes begins with NAXIS1, which varies fastest.
type Image struct {
	Source     string  `json:"source"`
	Digest     string  `json:"digest"`
	Bytes      int     `json:"bytes"`
	ChecksumOK bool    `json:"checksum_ok"`
	Axes       []int   `json:"axes"`
	Brightest  float32 `json:"brightest"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("usage: groups BOOTSTRAP_SERVERS TOPIC_PREFIX CONSUMER_GROUP [NUMBER_OF_GROUPS]")
	}
	wanted := math.MaxInt
	if len(os.Args) > 4 {
		wanted = number(os.Args[4])
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], wanted); err != nil {
		log.Fatal(err)
	}
}

func run(servers, prefix, consumerGroup string, wanted int) error {
	ctx := context.Background()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(servers, ",")...),
		kgo.ConsumerGroup(consumerGroup),
		kgo.ConsumeTopics(prefix+".groups"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // the default shows aborted groups
		kgo.FetchMaxBytes(largestRecord),
		kgo.FetchMaxPartitionBytes(largestRecord),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), // no commit for a partition that is another member's by now
	)
	if err != nil {
		return err
	}
	defer client.Close()
	out := json.NewEncoder(os.Stdout)
	assemblers := map[int32]*assembler{}
	for found := 0; found < wanted; client.AllowRebalance() {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for records := fetches.RecordIter(); !records.Done() && found < wanted; {
			record := records.Next()
			if assemblers[record.Partition] == nil {
				assemblers[record.Partition] = &assembler{}
			}
			images := assemblers[record.Partition].add(record)
			if images == nil {
				continue
			}
			if err := out.Encode(describe(images)); err != nil {
				return err
			}
			// Not before: a restart begins at the first image of the first group that was not printed.
			if err := client.CommitRecords(ctx, record); err != nil {
				return err
			}
			found++
		}
	}
	return nil
}

// assembler puts the images of one partition together.
type assembler struct {
	id     string
	images []*kgo.Record // by index; nil: not seen yet
	held   int
}

// add takes the next image and returns its group's images in order if it was the last one, else nil.
func (a *assembler) add(image *kgo.Record) []*kgo.Record {
	id, index, size := header(image, "ce_groupid"), number(header(image, "ce_groupindex")), number(header(image, "ce_groupsize"))
	if a.held > 0 && id != a.id {
		// The rest of that group will not come: retention took its start, or reading began in its middle.
		log.Printf("skipped %s: %d of %d images", a.id, a.held, len(a.images))
		a.held = 0
	}
	if a.held == 0 {
		a.id, a.images = id, make([]*kgo.Record, size)
	}
	if a.images[index] == nil {
		a.held++
	}
	a.images[index] = image
	if a.held < size {
		return nil
	}
	a.held = 0
	return a.images
}

func describe(images []*kgo.Record) Group {
	first := images[0]
	group := Group{
		Timestamp: header(first, "ce_time"),
		ID:        header(first, "ce_groupid"),
		Complete:  header(first, "ce_groupcomplete") == "true",
		Missing:   strings.FieldsFunc(header(first, "ce_groupmissing"), func(r rune) bool { return r == ',' }),
		Revision:  number(header(first, "ce_grouprevision")),
		Partition: first.Partition,
	}
	for _, image := range images {
		axes, brightest := decode(image.Value)
		group.Images = append(group.Images, Image{
			Source:     header(image, "ce_subject"),
			Digest:     header(image, "ce_digest"),
			Bytes:      len(image.Value),
			ChecksumOK: checksumHolds(image.Value),
			Axes:       axes,
			Brightest:  brightest,
		})
	}
	return group
}

// checksumHolds: all 32-bit words of a FITS file with a CHECKSUM add up to -0 in ones' complement.
func checksumHolds(fits []byte) bool {
	var sum uint64
	for at := 0; at < len(fits); at += 4 {
		sum += uint64(binary.BigEndian.Uint32(fits[at:]))
	}
	for sum>>32 != 0 {
		sum = sum&math.MaxUint32 + sum>>32
	}
	return sum == math.MaxUint32
}

// decode returns the axes and the brightest of the pixels: float32, big-endian.
func decode(fits []byte) (axes []int, brightest float32) {
	cards := map[string]string{}
	at := 0
	for ; string(fits[at:at+8]) != "END     "; at += card {
		if value, found := strings.CutPrefix(string(fits[at+8:at+card]), "= "); found {
			value, _, _ = strings.Cut(value, "/")
			cards[strings.TrimSpace(string(fits[at:at+8]))] = strings.TrimSpace(value)
		}
	}
	count := 1
	for n := range number(cards["NAXIS"]) {
		axes = append(axes, number(cards[fmt.Sprintf("NAXIS%d", n+1)]))
		count *= axes[n]
	}
	pixels := fits[(at+card+block-1)/block*block:]
	brightest = float32(math.Inf(-1))
	for n := range count {
		flux := math.Float32frombits(binary.BigEndian.Uint32(pixels[4*n:]))
		if flux > brightest && flux <= math.MaxFloat32 {
			brightest = flux
		}
	}
	return axes, brightest
}

func header(record *kgo.Record, name string) string {
	for _, each := range record.Headers {
		if each.Key == name {
			return string(each.Value)
		}
	}
	log.Fatalf("the record at partition %d, offset %d has no header %s", record.Partition, record.Offset, name)
	return ""
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return value
}
