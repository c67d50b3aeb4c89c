// Prints each group of a Trapline groups topic as a line of JSON; docs/consumers.md says how and why.
//
//     node groups.js BOOTSTRAP_SERVERS TOPIC_PREFIX CONSUMER_GROUP [NUMBER_OF_GROUPS]

import { Kafka, logLevel } from 'kafkajs'

const LARGEST_RECORD = 66 * 1024 * 1024 // max.message.bytes of the topic
const CARD = 80 // bytes of a FITS header line
const BLOCK = 2880 // headers and pixels are padded to a multiple of this

const [servers, prefix, groupId, wanted = Infinity] = process.argv.slice(2)
if (!groupId) {
  console.error('usage: node groups.js BOOTSTRAP_SERVERS TOPIC_PREFIX CONSUMER_GROUP [NUMBER_OF_GROUPS]')
  process.exit(2)
}
const topic = `${prefix}.groups`
const kafka = new Kafka({ brokers: servers.split(','), logLevel: logLevel.ERROR })
const consumer = kafka.consumer({
  groupId,
  readUncommitted: false, // KafkaJS's default; said all the same, because everything rests on it
  maxBytesPerPartition: LARGEST_RECORD,
  maxBytes: LARGEST_RECORD,
})

/** A record of the groups topic, its headers as text. */
function imageOf ({ offset, headers, value }) {
  const text = (name) => headers[name].toString()
  return {
    offset,
    value,
    timestamp: text('ce_time'),
    source: text('ce_subject'),
    digest: text('ce_digest'),
    group: text('ce_groupid'),
    index: Number(text('ce_groupindex')),
    size: Number(text('ce_groupsize')),
    complete: text('ce_groupcomplete') === 'true',
    missing: text('ce_groupmissing').split(',').filter(Boolean),
    revision: Number(text('ce_grouprevision')),
  }
}

/** The images of one partition, put together. */
class Assembler {
  #images = new Map()
  #id
  #size

  /** Take the next image; return its group's images in order if it was the last one. */
  add (image) {
    if (this.#id !== undefined && image.group !== this.#id) {
      // The rest of that group will not come: retention took its start, or reading began in its middle.
      console.error(`skipped ${this.#id}: ${this.#images.size} of ${this.#size} images`)
      this.#images.clear()
    }
    this.#id = image.group
    this.#size = image.size
    this.#images.set(image.index, image)
    if (this.#images.size < image.size) return undefined
    const images = [...this.#images.values()].sort((a, b) => a.index - b.index)
    this.#images.clear()
    this.#id = undefined
    return images
  }
}

/** All 32-bit words of a FITS file with a CHECKSUM add up to -0 in ones' complement. */
function checksumHolds (fits) {
  let sum = 0
  for (let at = 0; at < fits.length; at += 4) {
    sum += fits.readUInt32BE(at)
    if (sum > 0xffffffff) sum -= 0xffffffff
  }
  return sum === 0xffffffff
}

/** The axes (NAXIS1, which varies fastest, first) and the pixels: float32, big-endian. */
function decode (fits) {
  const cards = new Map()
  let at = 0
  for (; fits.toString('latin1', at, at + 8) !== 'END     '; at += CARD) {
    const [, name, value] = /^(.{8})(?:= ([^/]*))?/.exec(fits.toString('latin1', at, at + CARD))
    cards.set(name.trim(), value?.trim())
  }
  const start = Math.ceil((at + CARD) / BLOCK) * BLOCK
  const axes = Array.from({ length: Number(cards.get('NAXIS')) }, (_, n) => Number(cards.get(`NAXIS${n + 1}`)))
  const pixels = new Float32Array(axes.reduce((product, axis) => product * axis))
  pixels.forEach((_, n) => { pixels[n] = fits.readFloatBE(start + 4 * n) })
  return { axes, pixels }
}

function describe (images, partition) {
  const [{ timestamp, group, complete, missing, revision }] = images
  return {
    timestamp,
    group,
    complete,
    missing,
    revision,
    partition,
    images: images.map(({ source, digest, value }) => {
      const { axes, pixels } = decode(value)
      const brightest = pixels.reduce((most, flux) => (Number.isFinite(flux) && flux > most ? flux : most), -Infinity)
      return { source, digest, bytes: value.length, checksum_ok: checksumHolds(value), axes, brightest }
    }),
  }
}

const assemblers = new Map() // by partition
let found = 0

await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
const finished = new Promise((resolve, reject) => {
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => restart || reject(error))
  consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      if (found >= wanted) return
      if (!assemblers.has(partition)) assemblers.set(partition, new Assembler())
      const images = assemblers.get(partition).add(imageOf(message))
      if (!images) return
      console.log(JSON.stringify(describe(images, partition)))
      // Not before: a restart begins at the first image of the first group that was not printed.
      await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(message.offset) + 1n) }])
      if (++found >= wanted) resolve()
    },
  })
})
await finished
await consumer.disconnect()
