package check

import (
	"github.com/hardstand/hardstand/probe/internal/machine"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

// The canary latch: a decoy that trips sets PID 1's RLIMIT_RTTIME to a mark. A
// limit needs no file system, outlives the decoy, can only be lowered by those
// who do not hold CAP_SYS_RESOURCE, and this one acts on nothing but real-time
// threads.
const (
	rlimitRTTime = 15
	limitsFile   = "/proc/1/limits"

	// Mark layout: bit 62 is one, bits 61 to 42 count minutes since the
	// beginning of 2026 modulo 2^20, bits 41 to 0 hold the decoy's name in
	// base 38.
	markBit     = 1 << 62
	minuteShift = 42
	minuteMask  = 1<<20 - 1
	nameMask    = 1<<minuteShift - 1
	epochMinute = 29453760 // 2026-01-01T00:00:00Z in minutes since 1970
)

// Latch reads the canary latch and reports whether it is set; the message then
// says by whom. A latch that cannot be read at all is not set: refusing there
// would make every container without /proc and with another user's PID 1
// unhealthy.
func (s *State) Latch() bool {
	soft, hard, cause := s.Limit(1, rlimitRTTime)
	if cause != 0 {
		f, cause := s.ReadFile(limitsFile, s.body[:4096])
		if cause != 0 {
			return false
		}
		var ok bool
		if soft, hard, ok = wire.Limit(s.body[:f.N], "Max realtime timeout"); !ok {
			return false
		}
	}
	if soft == machine.Unlimited && hard == machine.Unlimited {
		return false
	}
	s.message = wire.NewBuffer(s.text[:])
	s.Class = Unhealthy
	if soft != hard || soft&markBit == 0 || soft>>63 != 0 {
		s.message.Str("canary latch set by unknown hand (RLIMIT_RTTIME=")
		putLimit(&s.message, soft)
		s.message.Byte(':')
		putLimit(&s.message, hard)
		s.message.Byte(')')
		return true
	}
	s.message.Str("canary tripped: decoy ")
	putName(&s.message, soft&nameMask)
	s.message.Str(" at ")
	putMinute(&s.message, markMinute(soft, s.Wall()/60e9))
	return true
}

func putLimit(w *wire.Buffer, v uint64) {
	if v == machine.Unlimited {
		w.Str("unlimited")
		return
	}
	w.Uint(v)
}

// putName appends the name of a mark, its first character most significant.
func putName(w *wire.Buffer, v uint64) {
	const letters = "\x00abcdefghijklmnopqrstuvwxyz0123456789-"
	if v == 0 {
		w.Str("(unnamed)")
		return
	}
	base := uint64(1)
	for range 7 {
		base *= 38
	}
	for ; base > 0; base /= 38 {
		c := letters[v/base%38]
		if c == 0 {
			return
		}
		w.Byte(c)
	}
}

// markMinute returns the minute since 1970 at which the mark was set: the
// latest of those the mark can mean that is not in the future.
func markMinute(mark uint64, now int64) int64 {
	m := epochMinute + int64(mark>>minuteShift)&minuteMask
	for m+minuteMask+1 <= now {
		m += minuteMask + 1
	}
	return m
}

// putMinute appends a minute since 1970 as a UTC time in the form of RFC 3339
// (days to date after Howard Hinnant, "chrono-Compatible Low-Level Date
// Algorithms", civil_from_days).
func putMinute(w *wire.Buffer, minute int64) {
	day := minute/1440 + 719468
	era := day / 146097
	doe := day - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	month := (mp+2)%12 + 1
	year := yoe + era*400
	if month <= 2 {
		year++
	}
	w.Pad(uint64(year), 4)
	w.Byte('-')
	w.Pad(uint64(month), 2)
	w.Byte('-')
	w.Pad(uint64(doy-(153*mp+2)/5+1), 2)
	w.Byte('T')
	w.Pad(uint64(minute%1440/60), 2)
	w.Byte(':')
	w.Pad(uint64(minute%60), 2)
	w.Byte('Z')
}
