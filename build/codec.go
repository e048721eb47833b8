package build

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hardstand/hardstand/build/inflate"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

// Encoder names the compressor whose bytes end up in layers. Another version
// may compress differently, so it is part of every key and of the provenance.
const Encoder = "github.com/klauspost/compress v1.20.3 gzip level 6, programs level 9"

const zstdEncoder = "github.com/klauspost/compress v1.20.3 zstd default level"

const gzipLevel = 6

// blockSize is how much is compressed into one member or frame, in bytes. It
// decides the compressed bytes, so it is fixed: blocks are compressed side by
// side, and the result does not depend on how many cores there are.
const blockSize = 512 << 10

// codec compresses blocks so that their concatenation is one stream to every
// reader: gzip members (RFC 1952, section 2.2) or zstd frames (RFC 8878,
// section 3.1).
type codec struct {
	name     string // as in a definition's compression
	encoder  string
	compress func(block []byte) ([]byte, error)
	reader   func(io.Reader) (io.ReadCloser, error)
}

// codecOf returns the codec that a definition asks for.
func codecOf(d *spec.Definition) codec {
	if d.Compression == "zstd" {
		return codec{"zstd", zstdEncoder, compressZstd, zstdReader}
	}
	return codec{"gzip", Encoder, compressGzip, gzipReader}
}

var gzipWriters = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzipLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	return z
}}

func compressGzip(block []byte) ([]byte, error) {
	z := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(z)
	out := bytes.NewBuffer(make([]byte, 0, len(block)/2+64)) // Grow would write to all of it
	z.Reset(out)
	if _, err := z.Write(block); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

var zstdWriter = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
})

func compressZstd(block []byte) ([]byte, error) {
	z, err := zstdWriter()
	if err != nil {
		return nil, err
	}
	return z.EncodeAll(block, nil), nil
}

func gzipReader(r io.Reader) (io.ReadCloser, error) { return inflate.NewReader(r) }

func zstdReader(r io.Reader) (io.ReadCloser, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

// compressors bounds how many blocks are compressed, and so held, at once in
// this process.
var compressors = make(chan struct{}, max(2, runtime.NumCPU()))

// maxPending is how many compressed blocks wait for those before them.
const maxPending = 3

// packer compresses a stream block by block, several at once, in order.
type packer struct {
	codec   codec
	to      func(packed) error // in order; the buffer is its own then
	block   *[]byte            // of buffers
	pending []chan packed
	// programs are those whose blocks are compressed already. starts is one of the
	// size of the file that is about to be written, like of the one that is being
	// written, which has next blocks by now.
	programs     []*payload.Unpacked
	starts, like *payload.Unpacked
	next         int
}

type packed struct {
	data   []byte
	err    error
	buffer *[]byte               // with what was compressed
	plain  []byte                // in place of buffer, where somebody else keeps it
	unpack func(io.Writer) error // in place of buffer, where nobody does
}

func newPacker(c codec, to func(packed) error) *packer {
	return &packer{codec: c, to: to, block: emptyBuffer()}
}

// know names a program whose blocks need no compressing. Other compressions
// than gzip have no use for it.
func (p *packer) know(u *payload.Unpacked) {
	if p.codec.name == "gzip" {
		p.programs = append(p.programs, u)
	}
}

// began is told that the next bytes are a file. One that may be a program is cut
// into blocks like the program.
func (p *packer) began(e rootfs.Entry) {
	if i := slices.IndexFunc(p.programs, func(u *payload.Unpacked) bool { return int64(len(u.Data)) == e.Size }); i >= 0 {
		p.starts = p.programs[i]
	}
}

func (p *packer) Write(data []byte) (int, error) {
	total := len(data)
	if p.starts != nil && len(data) > 0 {
		if len(*p.block) > 0 { // what stands before the file
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
		p.like, p.next, p.starts = p.starts, 0, nil
	}
	for len(data) > 0 {
		room := blockSize
		if p.like != nil {
			room = p.like.Blocks[p.next].Size
		}
		n := min(len(data), room-len(*p.block))
		*p.block, data = append(*p.block, data[:n]...), data[n:]
		if len(*p.block) == room {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

// program writes a whole program whose blocks are compressed already.
func (p *packer) program(blocks []payload.Block, unpack func(w io.Writer, i int) error) error {
	if len(*p.block) > 0 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	for i, block := range blocks {
		p.done(packed{data: block.Packed, unpack: func(w io.Writer) error { return unpack(w, i) }})
	}
	return p.drain(maxPending)
}

// known returns the block and its compressed form, if it is the next of a program.
func (p *packer) known() (plain, packed []byte) {
	u, i := p.like, p.next
	if u == nil {
		return nil, nil
	}
	if p.next++; p.next == len(u.Blocks) {
		p.like = nil
	}
	if plain := u.Block(i); bytes.Equal(*p.block, plain) {
		return plain, u.Blocks[i].Packed
	}
	return nil, nil
}

// flush hands the block to a compressor and starts another.
func (p *packer) flush() error {
	plain, known := p.known()
	if known != nil {
		*p.block = (*p.block)[:0]
		p.done(packed{data: known, plain: plain})
		return p.drain(maxPending)
	}
	buffer := p.block
	p.block = emptyBuffer()
	result := make(chan packed, 1)
	p.pending = append(p.pending, result)
	compressors <- struct{}{}
	go func() {
		data, err := p.codec.compress(*buffer)
		<-compressors
		result <- packed{data: data, err: err, buffer: buffer}
	}()
	return p.drain(maxPending)
}

// done puts what needs no compressing behind what is being compressed.
func (p *packer) done(r packed) {
	result := make(chan packed, 1)
	result <- r
	p.pending = append(p.pending, result)
}

// drain writes compressed blocks until at most some are pending.
func (p *packer) drain(most int) error {
	for len(p.pending) > most {
		r := <-p.pending[0]
		p.pending = p.pending[1:]
		if r.err != nil {
			return fmt.Errorf("compress layer: %w", r.err)
		}
		if err := p.to(r); err != nil {
			return err
		}
	}
	return nil
}

// Close writes what is left. An empty stream has no bytes.
func (p *packer) Close() error {
	if len(*p.block) > 0 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	return p.drain(0)
}
