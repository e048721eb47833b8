package wire

// Limit returns the soft and hard value of the named line of a
// /proc/PID/limits file; "unlimited" is the largest number.
func Limit(file []byte, name string) (soft, hard uint64, ok bool) {
	for len(file) > 0 {
		var line []byte
		line, file = nextLine(file)
		if len(line) <= len(name) || string(line[:len(name)]) != name {
			continue
		}
		word, rest := nextWord(line[len(name):])
		soft, ok = limitValue(word)
		if !ok {
			return 0, 0, false
		}
		word, _ = nextWord(rest)
		hard, ok = limitValue(word)
		return soft, hard, ok
	}
	return 0, 0, false
}

func limitValue(b []byte) (uint64, bool) {
	if string(b) == "unlimited" {
		return ^uint64(0), true
	}
	v := uint64(0)
	for _, c := range b {
		d := uint64(c - '0')
		if c < '0' || c > '9' || v > (^uint64(0)-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, len(b) > 0
}
