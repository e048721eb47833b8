package xz

// decodeChunk does what decodePortable does. The pointers are into one window,
// which goes on for overrun bytes behind end.
//
//go:noescape
func decodeChunk(m *model, first, pos, end *byte, packed int, dict uint32) bool

func (m *model) decode(win []byte, first, pos, end, packed int, dict uint32) bool {
	if packed < 5 || packed > chunkPacked || m.in[0] != 0 {
		return false
	}
	win = win[:end+overrun]
	return decodeChunk(m, &win[first : pos+1][0], &win[pos : end+1][0], &win[end], packed, dict)
}
