//go:build !amd64

package xz

func (m *model) decode(win []byte, first, pos, end, packed int, dict uint32) bool {
	return m.decodePortable(win, first, pos, end, packed, dict)
}
