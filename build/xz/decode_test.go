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
	for i := range 100 { // whole chunks, and ones whose end was cut off
		props := validProps()[random.IntN(75)]
		history, plain := uint16(random.IntN(20000)*(i%2)), uint16(1+random.IntN(5000))
		_, win := chunkOf(nil, props, int(history), int(plain))
		e := encoderOf(props, win[:history:history])
		packed := e.chunk(func() { e.any(random, 4096, int(history)+int(plain)) })
		f.Add(packed[:len(packed)-i/80*random.IntN(20)], props, history, plain)
	}
	for i := range 200 { // noise
		packed := make([]byte, 5+random.IntN(3000))
		for k := range packed {
			packed[k] = byte(random.Uint32() >> (i % 3 * 8))
		}
		f.Add(packed, byte(random.IntN(225)), uint16(random.IntN(20000)*(i%2)), uint16(1+random.IntN(20000)))
	}
	for i := range 100 { // a code that is not below the range, from which it never gets back
		packed := bytes.Repeat([]byte{0xff}, 5+random.IntN(3000))
		for k := 5; k < len(packed)*(i%2); k++ {
			packed[k] = byte(random.Uint32())
		}
		f.Add(packed, byte(random.IntN(225)), uint16(20000), uint16(1+random.IntN(20000)))
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

// validProps are all the properties that LZMA2 allows.
func validProps() (all []byte) {
	var m model
	for b := range 256 {
		if m.properties(byte(b)) {
			all = append(all, byte(b))
		}
	}
	return all
}

// decoders are those of this machine and of all others.
var decoders = map[string]func(*model, []byte, int, int, int, int, uint32) bool{
	"decode": (*model).decode, "portable": (*model).decodePortable,
}

// Chunks with symbols of every kind mean what was encoded, and leave behind the
// probabilities that the encoder has. The second chunk goes on where the first ended.
func TestDecodeEverySymbol(t *testing.T) {
	if n := len(validProps()); n != 75 {
		t.Fatalf("%d properties are valid", n)
	}
	random := rand.New(rand.NewPCG(7, 8))
	for i, props := range validProps() {
		history := []int{0, 1, 20, 5000, 1 << 20}[i%5]
		dict := []int{dictFloor, 8 << 20}[i%2]
		plain := 1 + random.IntN(5000)
		_, win := chunkOf(nil, props, history, 2*plain)
		e := encoderOf(props, win[:history:history])
		for name, decode := range decoders {
			e.win = e.win[:history]
			*e.model = *encoderOf(props, nil).model
			m, win := chunkOf(nil, props, history, 2*plain)
			for end := history + plain; end <= history+2*plain; end += plain {
				packed := e.chunk(func() { e.any(random, dict, end) })
				copy(m.in[:], packed)
				before := *m
				if decode(&before, bytes.Clone(win), 0, end-plain, end, len(packed)-1, uint32(dict)) {
					t.Fatalf("%s, properties %#x: a chunk longer than it says is accepted", name, props)
				}
				if !decode(m, win, 0, end-plain, end, len(packed), uint32(dict)) {
					t.Fatalf("%s, properties %#x: a valid chunk of %d bytes is refused", name, props, plain)
				}
				if !bytes.Equal(win[:end], e.win) {
					t.Fatalf("%s, properties %#x: something else was unpacked", name, props)
				}
				e.in = m.in
				if *m != *e.model {
					t.Fatalf("%s, properties %#x: the encoder has another state or probabilities", name, props)
				}
			}
		}
	}
}

// What cannot begin a chunk is refused before anything is unpacked.
func TestDecodeRefusesTheStart(t *testing.T) {
	e := encoderOf(0x5d, nil)
	valid := e.chunk(func() { e.literal(0) })
	for name, decode := range decoders {
		for n := range 5 {
			m, win := chunkOf(valid, 0x5d, 0, 1)
			if decode(m, win, 0, 0, 1, n, dictFloor) {
				t.Errorf("%s accepts %d bytes", name, n)
			}
		}
		m, win := chunkOf(valid, 0x5d, 0, 1)
		if m.in[0] = 1; decode(m, win, 0, 0, 1, len(valid), dictFloor) {
			t.Errorf("%s accepts a chunk that begins with 1", name)
		}
		if m.in[0] = 0; !decode(m, win, 0, 0, 1, len(valid), dictFloor) {
			t.Errorf("%s refuses the chunk", name)
		}
	}
}

// A chunk of one symbol after a match, whose only fault is the symbol, if it has one.
func TestDecodeRefusesASymbol(t *testing.T) {
	const dict = 4096
	for _, c := range []struct {
		name             string
		history          int
		rep              uint32 // all of the last distances, less 1
		refused, tooLong bool   // tooLong: the chunk says that it is one byte shorter
		encode           func(*encoder)
	}{
		{"the byte before", 1, 0, false, false, func(e *encoder) { e.match(1, 273) }},
		{"the first byte", 100, 0, false, false, func(e *encoder) { e.match(100, 50) }},
		{"before the first byte", 100, 0, true, false, func(e *encoder) { e.match(101, 50) }},
		{"before the first byte and near", 3, 0, true, false, func(e *encoder) { e.match(4, 2) }},
		{"without history", 0, 0, true, false, func(e *encoder) { e.match(1, 2) }},
		{"again without history", 0, 0, true, false, func(e *encoder) { e.again(0, 2) }},
		{"short without history", 0, 0, true, false, func(e *encoder) { e.short() }},
		{"literal without history", 0, 0, true, false, func(e *encoder) { e.literal('a') }},
		{"literal matches the first byte", 9, 8, false, false, func(e *encoder) { e.literal('a') }},
		{"literal matches what is before", 9, 9, true, false, func(e *encoder) { e.literal('a') }},
		{"literal matches very far", 9, 1<<32 - 1, true, false, func(e *encoder) { e.literal('a') }},
		{"the whole dictionary", 5000, 0, false, false, func(e *encoder) { e.match(dict, 2) }},
		{"beyond the dictionary", 5000, 0, true, false, func(e *encoder) { e.match(dict+1, 2) }},
		{"again the whole dictionary", 5000, dict - 1, false, false, func(e *encoder) { e.again(2, 2) }},
		{"again beyond the dictionary", 5000, dict, true, false, func(e *encoder) { e.again(2, 2) }},
		{"far beyond", 5000, 0, true, false, func(e *encoder) { e.match(1<<31-1, 2) }},
		{"the end marker", 5000, 0, true, false, func(e *encoder) { e.match(0, 2) }},
		{"match past the end", 5000, 0, true, true, func(e *encoder) { e.match(16, 3) }},
		{"match of eights past the end", 5000, 0, true, true, func(e *encoder) { e.match(8, 273) }},
		{"match of bytes past the end", 5000, 0, true, true, func(e *encoder) { e.match(2, 12) }},
		{"again past the end", 5000, 0, true, true, func(e *encoder) { e.again(0, 2) }},
	} {
		for name, decode := range decoders {
			m, win := chunkOf(nil, 0x5d, c.history, 300)
			e := encoderOf(0x5d, win[:c.history:c.history])
			for _, model := range []*model{m, e.model} {
				model.state, model.rep0, model.rep1, model.rep2, model.rep3 = litStates, c.rep, c.rep, c.rep, c.rep
			}
			packed := e.chunk(func() { c.encode(e) })
			end := len(e.win)
			if c.tooLong {
				end--
			}
			copy(m.in[:], packed)
			if ok := decode(m, win, 0, c.history, end, len(packed), dict); ok == c.refused {
				t.Errorf("%s, %s: %v", c.name, name, ok)
			} else if ok && !bytes.Equal(win[:end], e.win) {
				t.Errorf("%s, %s: something else was unpacked", c.name, name)
			}
			if len(bytes.Trim(win[end+overrun:], "\x00")) != 0 {
				t.Errorf("%s, %s: bytes outside the window were written", c.name, name)
			}
		}
	}
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
	var wins [][]byte
	for name, decode := range decoders {
		m, win := chunkOf(chunk[6:6+packed], chunk[5], 0, plain)
		if !decode(m, win, 0, 0, plain, packed, 1<<20) {
			t.Fatalf("%s refuses the chunk", name)
		}
		wins = append(wins, win[:plain])
		m, win = chunkOf(chunk[6:6+packed], chunk[5], 0, plain)
		if decode(m, win, 0, 0, plain, packed-1, 1<<20) {
			t.Errorf("%s accepts a chunk that is longer than it says", name)
		}
	}
	if !bytes.Equal(wins[0], wins[1]) {
		t.Error("the decoders differ")
	}
}
