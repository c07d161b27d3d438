/**
 * Eight instruments out of oscillators and noise, and a clock that plays the pattern.
 *
 * Only this window hears itself: the beat is shared, the loudspeaker is not. Notes are scheduled a
 * little ahead on the audio clock, because timers are too late and too early to make music.
 */
import { INSTRUMENTS, STEPS } from './pattern.js'

const AHEAD = 0.12
const EVERY = 25

export class Player {
  /** `onStep(step)` runs when a step sounds; -1 when the music stops. */
  constructor (pattern, onStep) {
    this.pattern = pattern
    this.onStep = onStep
    this.audio = null
    this.timer = 0
  }

  get playing () {
    return this.timer !== 0
  }

  toggle () {
    if (this.playing) this.stop()
    else this.start()
  }

  start () {
    this.open()
    this.step = 0
    this.at = this.audio.currentTime + 0.05
    this.timer = setInterval(() => this.schedule(), EVERY)
    this.schedule()
  }

  stop () {
    clearInterval(this.timer)
    this.timer = 0
    this.onStep(-1)
  }

  /** Let somebody hear one instrument. */
  preview (instrument) {
    this.open()
    VOICES[instrument](this.audio, this.out, this.noise, this.audio.currentTime + 0.01, 0.8)
  }

  schedule () {
    while (this.at < this.audio.currentTime + AHEAD) {
      const { step, at } = this
      for (const { id } of INSTRUMENTS) {
        const velocity = this.pattern.velocity(id, step)
        if (velocity > 0) VOICES[id](this.audio, this.out, this.noise, at, velocity / 127)
      }
      setTimeout(() => { if (this.playing) this.onStep(step) }, (at - this.audio.currentTime) * 1000)
      this.step = (step + 1) % STEPS
      this.at += 60 / this.pattern.bpm / 4
    }
  }

  open () {
    if (this.audio !== null) {
      this.audio.resume()
      return
    }
    this.audio = new AudioContext()
    const limiter = this.audio.createDynamicsCompressor()
    this.out = this.audio.createGain()
    this.out.gain.value = 0.7
    this.out.connect(limiter).connect(this.audio.destination)
    this.noise = this.audio.createBuffer(1, this.audio.sampleRate, this.audio.sampleRate)
    const samples = this.noise.getChannelData(0)
    for (let n = 0; n < samples.length; n++) samples[n] = Math.random() * 2 - 1
  }
}

/** A gain that jumps to `level` and falls silent after `seconds`. */
const envelope = (audio, out, at, level, seconds) => {
  const gain = audio.createGain()
  gain.gain.setValueAtTime(level, at)
  gain.gain.exponentialRampToValueAtTime(0.001, at + seconds)
  gain.connect(out)
  return gain
}

const tone = (audio, out, at, { type = 'sine', from, to = from, bend = 0.1, level, seconds }) => {
  const oscillator = audio.createOscillator()
  oscillator.type = type
  oscillator.frequency.setValueAtTime(from, at)
  oscillator.frequency.exponentialRampToValueAtTime(to, at + bend)
  oscillator.connect(envelope(audio, out, at, level, seconds))
  oscillator.start(at)
  oscillator.stop(at + seconds)
}

const hiss = (audio, out, noise, at, { type = 'highpass', frequency, level, seconds }) => {
  const source = audio.createBufferSource()
  source.buffer = noise
  const filter = audio.createBiquadFilter()
  filter.type = type
  filter.frequency.value = frequency
  source.connect(filter).connect(envelope(audio, out, at, level, seconds))
  source.start(at, Math.random() * 0.5, seconds)
}

const VOICES = {
  kick: (audio, out, _noise, at, level) => tone(audio, out, at, { from: 150, to: 42, bend: 0.12, level: level * 1.1, seconds: 0.4 }),
  snare: (audio, out, noise, at, level) => {
    hiss(audio, out, noise, at, { frequency: 1400, level: level * 0.6, seconds: 0.18 })
    tone(audio, out, at, { type: 'triangle', from: 220, to: 150, level: level * 0.4, seconds: 0.12 })
  },
  clap: (audio, out, noise, at, level) => {
    for (const late of [0, 0.012, 0.026]) {
      hiss(audio, out, noise, at + late, { type: 'bandpass', frequency: 1500, level: level * 0.8, seconds: late === 0.026 ? 0.16 : 0.02 })
    }
  },
  hat: (audio, out, noise, at, level) => hiss(audio, out, noise, at, { frequency: 8000, level: level * 0.4, seconds: 0.05 }),
  open: (audio, out, noise, at, level) => hiss(audio, out, noise, at, { frequency: 7000, level: level * 0.4, seconds: 0.32 }),
  tom: (audio, out, _noise, at, level) => tone(audio, out, at, { from: 200, to: 90, bend: 0.2, level: level * 0.8, seconds: 0.35 }),
  bell: (audio, out, _noise, at, level) => {
    for (const from of [540, 800]) tone(audio, out, at, { type: 'square', from, level: level * 0.12, seconds: 0.25 })
  },
  bass: (audio, out, _noise, at, level) => tone(audio, out, at, { type: 'triangle', from: 55, level: level * 0.9, seconds: 0.28 })
}
