package xz

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	other "github.com/therootcompany/xz"
)

// chunks encodes n chunks of every kind, of at most size bytes each.
func (e *encoder) chunks(random *rand.Rand, n, size, dict int) (out []byte) {
	needProps := true
	for i := range n {
		kinds := []byte{1, 0xe0, 2, 0xc0, 0x80, 0xa0}
		if needProps {
			kinds = kinds[:4]
		}
		if i == 0 {
			kinds = kinds[:2]
		}
		control := kinds[random.IntN(len(kinds))]
		if control == 1 || control == 0xe0 {
			e.first, needProps = len(e.win), true
		}
		plain := 1 + random.IntN(size)
		if control < 0x80 {
			plain = min(plain, 1<<16)
			out = binary.BigEndian.AppendUint16(append(out, control), uint16(plain-1))
			for range plain {
				e.win = append(e.win, byte(random.Uint32()))
			}
			out = append(out, e.win[len(e.win)-plain:]...)
			continue
		}
		props := validProps()[random.IntN(75)]
		if control >= 0xc0 {
			e.properties(props)
			needProps = false
		}
		if control >= 0xa0 {
			e.reset()
		}
		start := len(e.win)
		packed := e.chunk(func() { e.any(random, dict, start+plain) })
		plain = len(e.win) - start
		out = append(out, control|byte((plain-1)>>16))
		out = binary.BigEndian.AppendUint16(out, uint16(plain-1))
		out = binary.BigEndian.AppendUint16(out, uint16(len(packed)-1))
		if control >= 0xc0 {
			out = append(out, props)
		}
		out = append(out, packed...)
	}
	return out
}

func unpacked(packed []byte) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(packed), 1<<20)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // it never fails
	return io.ReadAll(io.LimitReader(r, 16<<20))
}

// Chunks of every kind follow each other, and the window slides below them.
func TestChunksOfEveryKind(t *testing.T) {
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 9))
		property, dict := byte(0), dictFloor
		if seed%2 == 1 {
			property, dict = 16, 1<<20
		}
		e := encoderOf(0, nil)
		chunks := e.chunks(random, 60, 150_000, dict)
		if len(e.win) < 2*window {
			t.Fatalf("%d bytes do not make the window slide", len(e.win))
		}
		got, err := unpacked(partsOf(chunks, property).stream())
		if err != nil || !bytes.Equal(got, e.win) {
			t.Fatalf("seed %d: %d bytes of %d, %v", seed, len(got), len(e.win), err)
		}
	}
}

// FuzzChunks compares with another decoder, in streams whose checksums hold.
// That one accepts more: chunks that the xz program refuses too.
func FuzzChunks(f *testing.F) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 10))
		f.Add(encoderOf(0, nil).chunks(random, 1+random.IntN(6), 1000, dictFloor), byte(0))
	}
	f.Fuzz(func(t *testing.T, chunks []byte, dict byte) {
		packed := partsOf(chunks, dict%17).stream()
		got, err := unpacked(packed)
		if err != nil {
			return
		}
		theirs, err := other.NewReader(bytes.NewReader(packed), 1<<20)
		if err != nil {
			t.Fatalf("we accept what another decoder refuses: %v", err)
		}
		want, err := io.ReadAll(io.LimitReader(theirs, 16<<20))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, another decoder %d, %v", len(got), len(want), err)
		}
	})
}
