// What a program in JavaScript needs to put a file of `evenodds export RUN --uint8` to work: its metadata, and z.

/** The metadata of an ONNX file: field 14 of its message, entries of a key (1) and a value (2). */
export function metadata(bytes) {
  const text = new TextDecoder();
  const words = {};
  for (const [number, value] of fields(bytes)) {
    if (number !== 14) continue;
    const entry = Object.fromEntries(fields(value));
    words[text.decode(entry[1])] = text.decode(entry[2]);
  }
  if (words.format !== "evenodds-model-1" || words.answers !== "sample") {
    throw new Error("the model must be a file of `evenodds export RUN --uint8` that samples");
  }
  return { ...words, classes: JSON.parse(words.classes ?? "[]"), units: JSON.parse(words.units), ...inputs(words) };
}

/** The inputs by name, and the length of z. */
function inputs(words) {
  const about = JSON.parse(words.evenodds);
  const named = Object.fromEntries(about.inputs.map((one) => [one.name, one]));
  if (named.c || about.config.prior.name !== "normal") throw new Error("only files of z from a normal prior are sampled here");
  return { inputs: named, latent: named.z.shape[1] };
}

/** [number, bytes] of each field of a message of protocol buffers that holds bytes. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else {
      const length = varint();
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

/** z of the first n samples of a seed, n up to 256: those of `evenodds sample --seed`, to the last digits. */
export function noise(n, latent, seed) {
  return normals(n * latent, mix(BigInt(seed), 0n));
}

/** One seed of several numbers (SplitMix64, Steele et al. 2014). */
function mix(...numbers) {
  const word = (value) => BigInt.asUintN(64, value);
  let state = 0n;
  for (const number of numbers) {
    state = word(state + number + 0x9e3779b97f4a7c15n);
    state = word((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    state = word((state ^ (state >> 27n)) * 0x94d049bb133111ebn);
    state ^= state >> 31n;
  }
  return state >> 1n;
}

/** Normal numbers by Box and Muller (1958) in blocks of 16, whose first half gives lengths and whose second angles. */
function normals(n, seed) {
  const word = twister(Number(BigInt.asUintN(32, seed)));
  const numbers = new Float32Array(Math.ceil(n / 16) * 16);
  for (let block = 0; block < numbers.length; block += 16) {
    const uniform = Array.from({ length: 16 }, () => (word() & 0xffffff) / 0x1000000);
    for (let k = 0; k < 8; k++) {
      const length = Math.sqrt(-2 * Math.log1p(-uniform[k]));
      numbers[block + k] = length * Math.cos(2 * Math.PI * uniform[k + 8]);
      numbers[block + k + 8] = length * Math.sin(2 * Math.PI * uniform[k + 8]);
    }
  }
  return numbers.slice(0, n);
}

/** Numbers of 32 bits by the Mersenne Twister (Matsumoto and Nishimura 1998). */
function twister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let k = 1; k < 624; k++) state[k] = Math.imul(1812433253, state[k - 1] ^ (state[k - 1] >>> 30)) + k;
  let at = 624;
  return () => {
    if (at === 624) {
      for (let k = 0; k < 624; k++) {
        const y = (state[k] & 0x80000000) | (state[(k + 1) % 624] & 0x7fffffff);
        state[k] = state[(k + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

/** The inputs of a session of onnxruntime for n samples of one class; `Tensor` is its class of tensors. */
export function request(Tensor, about, n, seed, number) {
  const given = { z: new Tensor("float32", noise(n, about.latent, seed), [n, about.latent]) };
  if (about.inputs.y) given.y = new Tensor("int64", new BigInt64Array(n).fill(BigInt(number)), [n]);
  if (about.inputs.truncation) given.truncation = new Tensor("float32", new Float32Array([1]), [1]);
  return given;
}

/** A grid of samples (N, C, H, W) as { width, height, pixels }, pixels of red, green, blue and opacity. */
export function grid(x, units, columns) {
  const [n, channels, height, width] = x.dims;
  const sheet = { width: columns * width, height: Math.ceil(n / columns) * height };
  const pixels = new Uint8ClampedArray(4 * sheet.width * sheet.height).fill(255);
  const level = (value) => (255 * (value - units.low[0])) / (units.high[0] - units.low[0]);
  for (let k = 0; k < n; k++) {
    for (let p = 0; p < height * width; p++) {
      const row = Math.floor(k / columns) * height + Math.floor(p / width);
      const at = 4 * (row * sheet.width + (k % columns) * width + (p % width));
      for (let c = 0; c < 3; c++) {
        pixels[at + c] = level(x.data[(k * channels + Math.min(c, channels - 1)) * height * width + p]);
      }
    }
  }
  return { ...sheet, pixels };
}
