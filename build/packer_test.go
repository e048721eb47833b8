package build

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

// A program's blocks go into the stream as they are, but for those that were
// patched, whatever stands around the program and however it is written.
func TestKnownBlocks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	program := make([]byte, 5*payload.BlockSize/2)
	for i := range program {
		program[i] = byte(random.IntN(7))
	}
	const from, to = payload.BlockSize + 100, payload.BlockSize + 300
	zipped, cut, err := payload.Pack(program, from, to)
	if err != nil {
		t.Fatal(err)
	}
	known := &payload.Unpacked{Data: program}
	at := 0
	for _, c := range cut {
		known.Blocks, zipped = append(known.Blocks, payload.Block{At: at, Size: c.Size, Packed: zipped[:c.Packed]}), zipped[c.Packed:]
		at += c.Size
	}
	if at != len(program) || len(cut) != 5 || cut[2].Size != to-from {
		t.Fatalf("%d bytes are cut into %v", len(program), cut)
	}
	patched := bytes.Clone(program)
	patched[from] ^= 1
	patched[to-1] ^= 1
	for _, step := range []int{1 << 20, 512, 4093} {
		var out, want bytes.Buffer
		p := newPacker(codecOf(&spec.Definition{}), func(r packed) error {
			out.Write(r.data)
			if r.buffer != nil {
				buffers.Put(r.buffer)
			}
			return nil
		})
		p.know(known)
		write := func(data []byte, file bool) {
			t.Helper()
			if file {
				p.began(rootfs.Entry{Size: int64(len(data))})
			}
			want.Write(data)
			for len(data) > 0 {
				n := min(step, len(data))
				if _, err := p.Write(data[:n]); err != nil {
					t.Fatal(err)
				}
				data = data[n:]
			}
		}
		write(program[:700], false)
		write(program, true)
		write(program[:300], true)
		write(nil, true)
		write(patched, true)
		write(program[:900], false)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		for i, times := range []int{2, 2, 1, 2, 2} {
			if got := bytes.Count(out.Bytes(), known.Blocks[i].Packed); got != times {
				t.Errorf("writing %d bytes at once: block %d is there %d times, want %d", step, i, got, times)
			}
		}
		z, err := gzip.NewReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("writing %d bytes at once: the stream unpacks to something else: %v", step, err)
		}
	}
}
