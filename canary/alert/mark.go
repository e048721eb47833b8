package alert

import "time"

// The latch is the limit RLIMIT_RTTIME of PID 1: a decoy lowers soft and hard
// limit to a mark, which nobody without CAP_SYS_RESOURCE can raise again. The
// limit itself is without effect on processes that are not scheduled in real
// time. A mark is
//
//	bit 62        always 1
//	bits 61..42   minutes since 2026-01-01T00:00:00Z, modulo 2^20
//	bits 41..0    decoy name, up to 8 characters in base 38, first character
//	              most significant: 0 end, 1-26 a-z, 27-36 0-9, 37 "-"
//
// and so always below RLIM_INFINITY and never zero.
const (
	markSet    = 1 << 62
	markName   = 1<<42 - 1
	markMinute = 1<<20 - 1
	markChars  = 8
	markBase   = 38
)

var markEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Mark packs the first eight characters of a decoy's name and the minute of t.
// Upper case counts as lower case; characters outside a-z, 0-9 become "-".
func Mark(name string, t time.Time) uint64 {
	var packed uint64
	for i := range markChars {
		packed *= markBase
		if i < len(name) {
			packed += markDigit(name[i])
		}
	}
	minutes := int64(t.Sub(markEpoch) / time.Minute)
	return markSet | uint64(minutes&markMinute)<<42 | packed
}

// ParseMark reads a mark. The time is the earliest minute from 2026 on that
// fits; the counter wraps after 728 days. ok is false for a value that Mark
// cannot have made, such as RLIM_INFINITY.
func ParseMark(mark uint64) (name string, t time.Time, ok bool) {
	if mark>>62 != 1 {
		return "", time.Time{}, false
	}
	packed := mark & markName
	var chars [markChars]byte
	end := 0
	for i := markChars - 1; i >= 0; i-- {
		digit := packed % markBase
		packed /= markBase
		switch {
		case digit != 0:
			chars[i] = markChar(digit)
			end = max(end, i+1)
		case end != 0: // padding before a character
			return "", time.Time{}, false
		}
	}
	if packed != 0 || end == 0 {
		return "", time.Time{}, false
	}
	minutes := time.Duration(mark >> 42 & markMinute)
	return string(chars[:end]), markEpoch.Add(minutes * time.Minute), true
}

func markDigit(c byte) uint64 {
	switch {
	case c >= 'a' && c <= 'z':
		return uint64(c-'a') + 1
	case c >= 'A' && c <= 'Z':
		return uint64(c-'A') + 1
	case c >= '0' && c <= '9':
		return uint64(c-'0') + 27
	}
	return 37
}

func markChar(digit uint64) byte {
	switch {
	case digit <= 26:
		return byte('a' + digit - 1)
	case digit <= 36:
		return byte('0' + digit - 27)
	}
	return '-'
}

// MarkEpoch is minute zero of a mark.
func MarkEpoch() time.Time { return markEpoch }
