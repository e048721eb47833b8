package xz

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
)

// chunkOf makes a model that has a chunk to decode, and a window with history
// before it. What is in them depends on the arguments only.
func chunkOf(packed []byte, props byte, history, plain int) (m *model, win []byte) {
	m, win = &model{}, make([]byte, history+plain+overrun)
	if !m.properties(props) {
		m.properties(props % 225 % 9 % 5)
	}
	m.reset()
	copy(m.in[:], packed)
	m.in[0] = 0
	random := rand.New(rand.NewPCG(uint64(history), uint64(plain)))
	for i := range win[:history] {
		win[i] = byte(random.Uint32() % 7 * 40)
	}
	return m, win
}

// FuzzDecode compares the decoder of this machine's architecture with the
// portable one: the answer, what was unpacked, and every probability.
func FuzzDecode(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 400 {
		packed := make([]byte, 5+random.IntN(3000))
		for k := range packed {
			packed[k] = byte(random.Uint32() >> (i % 3 * 8))
		}
		f.Add(packed, byte(random.IntN(225)), uint16(random.IntN(20000)*(i%2)), uint16(1+random.IntN(20000)))
	}
	f.Fuzz(func(t *testing.T, packed []byte, props byte, history, plain uint16) {
		packed = packed[:min(len(packed), chunkPacked)]
		for _, dict := range []uint32{uint32(history) + uint32(plain), 4096} {
			one, oneWin := chunkOf(packed, props, int(history), int(plain))
			two, twoWin := chunkOf(packed, props, int(history), int(plain))
			end := int(history) + int(plain)
			ok := one.decode(oneWin, 0, int(history), end, len(packed), dict)
			if want := two.decodePortable(twoWin, 0, int(history), end, len(packed), dict); ok != want {
				t.Fatalf("%v, the portable decoder says %v", ok, want)
			}
			if ok && !bytes.Equal(oneWin[:end], twoWin[:end]) {
				t.Fatal("something else was unpacked")
			}
			if *one != *two {
				t.Fatal("the models differ")
			}
		}
	})
}

// Decoding stops at the end of the window, whatever the chunk says.
func TestDecodeKeepsToTheWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		packed := make([]byte, 64+random.IntN(200))
		for k := range packed {
			packed[k] = byte(random.Uint32())
		}
		plain := 1 + random.IntN(300)
		m, win := chunkOf(packed, 0x5d, 64, plain)
		guarded := append(bytes.Clone(win), bytes.Repeat([]byte{0xa5}, 64)...)
		m.decode(guarded[:len(win):len(win)], 0, 64, 64+plain, len(packed), 1<<20)
		if !bytes.Equal(guarded[len(win):], bytes.Repeat([]byte{0xa5}, 64)) || !bytes.Equal(guarded[:64], win[:64]) {
			t.Fatal("bytes outside the window were written")
		}
	}
}

// Both decoders accept a whole chunk, and give the same bytes of it.
func TestDecodeBothWays(t *testing.T) {
	file, err := os.ReadFile("testdata/small.xz")
	if err != nil {
		t.Fatal(err)
	}
	chunk := file[12+(int(file[12])+1)*4:] // behind the headers of stream and block
	plain, packed := int(binary.BigEndian.Uint16(chunk[1:]))+1, int(binary.BigEndian.Uint16(chunk[3:]))+1
	var wins [2][]byte
	for i, decode := range []func(*model, []byte, int, int, int, int, uint32) bool{(*model).decode, (*model).decodePortable} {
		m, win := chunkOf(chunk[6:6+packed], chunk[5], 0, plain)
		if !decode(m, win, 0, 0, plain, packed, 1<<20) {
			t.Fatalf("decoder %d refuses the chunk", i)
		}
		wins[i] = win[:plain]
		m, win = chunkOf(chunk[6:6+packed], chunk[5], 0, plain)
		if decode(m, win, 0, 0, plain, packed-1, 1<<20) {
			t.Errorf("decoder %d accepts a chunk that is longer than it says", i)
		}
	}
	if !bytes.Equal(wins[0], wins[1]) {
		t.Error("the decoders differ")
	}
}
