package keyspace

import "math/rand/v2"

// The access clock of a key has 24 bits. They hold, as in Redis, the second of
// the last access, or for LFU policies the minute of the last decay (16 bits)
// and a logarithmic counter of accesses (8 bits).
const (
	clockMask = 1<<24 - 1

	lfuInit = 5 // counter of a new key, so that it is not evicted at once
)

// SetLFU makes access clocks count frequency instead of telling the time of
// the last access. Clocks written before are read as the new kind, as in Redis.
func (k *Keyspace) SetLFU(on bool) { k.lfu.Store(on) }

// lfuScale says how fast counters of accesses grow and fall.
type lfuScale struct {
	factor float64 // Redis's lfu-log-factor
	decay  uint32  // minutes for a counter to lose one, 0 for never: lfu-decay-time
}

var defaultLFUScale = &lfuScale{factor: 10, decay: 1}

// ScaleLFU sets how fast counters of accesses grow and fall: Redis's lfu-log-factor
// and lfu-decay-time.
func (k *Keyspace) ScaleLFU(logFactor, decayMinutes int) {
	k.lfuScale.Store(&lfuScale{float64(logFactor), uint32(decayMinutes)})
}

// LFU tells whether access clocks count frequency.
func (k *Keyspace) LFU() bool { return k.lfu.Load() }

// clockAt is the clock of a key accessed now (Unix milliseconds).
func clockAt(now int64) uint32 { return uint32(now/1000) & clockMask } // wraps as meant

func minuteAt(now int64) uint32 { return uint32(now/60000) & 0xffff } // wraps as meant

// newClock is the clock of a key created now.
func (s *Shard) newClock() uint32 {
	if s.ks.lfu.Load() {
		return minuteAt(s.now)<<8 | lfuInit
	}
	return clockAt(s.now)
}

// overwriteClock is the clock of a key whose value is replaced: its frequency
// survives.
func (s *Shard) overwriteClock(old uint32) uint32 {
	if s.ks.lfu.Load() {
		return old
	}
	return clockAt(s.now)
}

// touched is a clock after an access now.
func (s *Shard) touched(clock uint32, now int64) uint32 {
	if !s.ks.lfu.Load() {
		return clockAt(now)
	}
	scale := s.ks.lfuScale.Load()
	n := scale.count(clock, now)
	if n < 255 && rand.Float64()*(float64(max(int(n)-lfuInit, 0))*scale.factor+1) < 1 { // statistics
		n++
	}
	return minuteAt(now)<<8 | n
}

// count is the counter in a clock after its decay up to now.
func (l *lfuScale) count(clock uint32, now int64) uint32 {
	n := clock & 0xff
	if l.decay == 0 {
		return n
	}
	lost := (minuteAt(now) - clock>>8) & 0xffff / l.decay
	return n - min(n, lost)
}

// idleSeconds is how long ago the access in a clock was.
func idleSeconds(clock uint32, now int64) int64 {
	return int64((clockAt(now) - clock) & clockMask)
}
