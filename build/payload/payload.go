// Package payload holds the programs that hardstand puts into images: the
// probe, the decoy program and the guard, each with and without its network half,
// for every platform that has it. `make payload` compiles them and puts them below bin, from
// where they are embedded, so that building an image needs no compiler.
package payload

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/inflate"
	"github.com/hardstand/hardstand/build/spec"
)

//go:embed bin
var files embed.FS

// The programs.
const (
	Probe      = "probe"       // with TLS
	ProbePlain = "probe-plain" // without
	Decoy      = "decoy"       // reports over HTTPS and DNS
	DecoyPlain = "decoy-plain" // has no network code
	Guard      = "guard"       // amd64 and arm64 only; reports over HTTPS
	GuardPlain = "guard-plain" // has no network code
)

// Smaller are compiler flags that make the networked programs a twentieth
// smaller: no inlining in the standard library, but for the runtime and the
// arithmetic of cryptography, where it would cost time.
func Smaller() []string {
	return []string{"-gcflags=std=-l", "-gcflags=runtime/...=", "-gcflags=internal/...=", "-gcflags=crypto/internal/...="}
}

// maxProgram bounds an unpacked program, in bytes.
const maxProgram = 64 << 20

// Program describes an embedded program.
type Program struct {
	SHA256  cache.Digest `json:"sha256"` // of the unpacked program
	Size    int64        `json:"size"`
	Version string       `json:"version"` // of the module, as the build recorded it
	// Cut are the sizes of its blocks, which stand in the file one after the other.
	Cut []Cut `json:"cut"`
	// Start is how layers begin that have the probe at /bin/probe.
	Start *Start `json:"start,omitempty"`
	// What the program itself says it was made of.
	Go      string   `json:"go,omitempty"`      // version of the Go toolchain, such as "1.26.1"
	Modules []Module `json:"modules,omitempty"` // beside the standard library and hardstand itself
}

// Start is a SHA-256 that was taken of the beginning of a tar: the headers of
// directories, and a program with its header and padding.
type Start struct {
	Frame cache.Digest `json:"frame"` // of all that is not the program
	State []byte       `json:"state"` // as crypto/sha256 marshals it
}

// NewStart hashes a program and what stands around it.
func NewStart(before, program, after []byte) (*Start, error) {
	h := sha256.New()
	for _, part := range [][]byte{before, program, after} {
		h.Write(part) //nolint:errcheck // a hash takes everything
	}
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	return &Start{Frame: cache.Sum(slices.Concat(before, after)), State: state}, err
}

// Resume makes a new SHA-256 go on from there.
func (s *Start) Resume(h hash.Hash) error {
	return h.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.State)
}

// BlockSize is the most of a program that is one gzip member (RFC 1952, section
// 2.2), in bytes. Members go into layers as they are. One that a build
// patches is compressed anew, which is why what is patched is a block.
const BlockSize = 256 << 10

// Cut is the size of a block, and what it is compressed, in bytes.
type Cut struct {
	Size   int `json:"size"`
	Packed int `json:"packed"`
}

// Pack compresses a program. Blocks end at the given offsets too, which rise.
func Pack(data []byte, ends ...int) (packed []byte, cut []Cut, err error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, nil, err
	}
	for start := 0; start < len(data); {
		end := min(start+BlockSize, len(data))
		if i := slices.IndexFunc(ends, func(e int) bool { return e > start }); i >= 0 {
			end = min(end, ends[i])
		}
		before := out.Len()
		z.Reset(&out)
		if _, err := z.Write(data[start:end]); err != nil {
			return nil, nil, err
		}
		if err := z.Close(); err != nil {
			return nil, nil, err
		}
		cut = append(cut, Cut{end - start, out.Len() - before})
		start = end
	}
	return out.Bytes(), cut, nil
}

// Module is a Go module that a program was compiled with.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// FileName is the name below bin of a program for a platform.
func FileName(name string, p spec.Platform) string {
	s := name + "-linux-" + p.Arch
	if p.Variant != "" {
		s += "-" + p.Variant
	}
	return s + ".gz"
}

var manifest = sync.OnceValues(func() (map[string]Program, error) {
	data, err := files.ReadFile("bin/manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this hardstand was built without the programs for images: build it with make build")
	}
	if err != nil {
		return nil, err
	}
	var m map[string]Program
	return m, json.Unmarshal(data, &m)
})

// Digest is that of the manifest, which names every program by its own.
func Digest() (cache.Digest, error) {
	data, err := files.ReadFile("bin/manifest.json")
	if err != nil {
		return "", fmt.Errorf("read the list of programs: %w", err)
	}
	return cache.Sum(data), nil
}

// Choose returns the program that stands in for one on a platform: where the
// probe without TLS is not embedded, the probe with it, which can do more.
func Choose(name string, p spec.Platform) string {
	if m, err := manifest(); err == nil && name == ProbePlain {
		if _, ok := m[FileName(name, p)]; !ok {
			return Probe
		}
	}
	return name
}

// Lookup describes a program without unpacking it.
func Lookup(name string, p spec.Platform) (Program, error) {
	m, err := manifest()
	if err != nil {
		return Program{}, fmt.Errorf("find %s for %s: %w", name, p, err)
	}
	prog, ok := m[FileName(name, p)]
	if !ok {
		return Program{}, fmt.Errorf("find %s for %s: this hardstand was built without it; make build PLATFORMS=%s embeds it", name, p, p)
	}
	return prog, nil
}

// Block is a part of a program.
type Block struct {
	At, Size int    // in the program, bytes
	Packed   []byte // the gzip member that it is compressed to
}

// Stored is a program as it is embedded.
type Stored struct {
	Program
	Blocks []Block
}

var opened sync.Map // of func() (*Stored, error), by file name

// Open finds the compressed blocks of a program, which nobody may write to.
func Open(name string, p spec.Platform) (*Stored, error) {
	open, _ := opened.LoadOrStore(FileName(name, p), sync.OnceValues(func() (*Stored, error) { return open(name, p) }))
	return open.(func() (*Stored, error))()
}

func open(name string, p spec.Platform) (*Stored, error) {
	prog, err := Lookup(name, p)
	if err != nil {
		return nil, err
	}
	packed, err := files.ReadFile("bin/" + FileName(name, p))
	if err != nil {
		return nil, fmt.Errorf("read %s for %s: %w", name, p, err)
	}
	s, err := store(prog, packed)
	if err != nil {
		return nil, fmt.Errorf("read %s for %s: %w", name, p, err)
	}
	return s, nil
}

// store cuts a file into its blocks.
func store(prog Program, packed []byte) (*Stored, error) {
	s, at := &Stored{Program: prog}, 0
	for _, c := range prog.Cut {
		if c.Size < 1 || c.Size > BlockSize || c.Packed < 0 || c.Packed > len(packed) {
			return nil, io.ErrUnexpectedEOF
		}
		s.Blocks = append(s.Blocks, Block{at, c.Size, packed[:c.Packed:c.Packed]})
		at, packed = at+c.Size, packed[c.Packed:]
	}
	if int64(at) != prog.Size || at > maxProgram {
		return nil, fmt.Errorf("blocks of %d bytes do not make %d bytes", at, prog.Size)
	}
	if len(packed) > 0 {
		return nil, cache.ErrDigest
	}
	return s, nil
}

// Unpack writes one block, whose checksum is compared.
func (s *Stored) Unpack(w io.Writer, i int) error {
	z, err := reader(s.Blocks[i].Packed)
	if err != nil {
		return err
	}
	defer readers.Put(z)
	n, err := io.Copy(w, z)
	if err != nil {
		return err
	}
	if n != int64(s.Blocks[i].Size) {
		return cache.ErrDigest
	}
	return nil
}

var readers sync.Pool // of *inflate.Reader

func reader(block []byte) (*inflate.Reader, error) {
	if z, ok := readers.Get().(*inflate.Reader); ok {
		return z, z.Reset(bytes.NewReader(block))
	}
	return inflate.NewReader(bytes.NewReader(block))
}

// Unpacked is a program and the compressed blocks of it.
type Unpacked struct {
	Data   []byte
	Blocks []Block
}

// Read unpacks a program and compares its checksums. Its digest is that of a
// part of the executable that is running, so nobody asks for it again.
func Read(name string, p spec.Platform) (*Unpacked, error) {
	s, err := Open(name, p)
	if err != nil {
		return nil, err
	}
	u, err := s.unpack()
	if err != nil {
		return nil, fmt.Errorf("read %s for %s: %w", name, p, err)
	}
	return u, nil
}

// Block returns the bytes of one block.
func (u *Unpacked) Block(i int) []byte {
	b := u.Blocks[i]
	return u.Data[b.At:][:b.Size]
}

// Unpack writes one block.
func (u *Unpacked) Unpack(w io.Writer, i int) error {
	_, err := w.Write(u.Block(i))
	return err
}

var kept sync.Map // of func() (*Unpacked, error), by file name

// Kept is Read of a program that is asked for again: what was unpacked stays in
// memory, and nobody may write to it.
func Kept(name string, p spec.Platform) (*Unpacked, error) {
	read, _ := kept.LoadOrStore(FileName(name, p), sync.OnceValues(func() (*Unpacked, error) { return Read(name, p) }))
	return read.(func() (*Unpacked, error))()
}

// unpack unpacks the blocks side by side.
func (s *Stored) unpack() (*Unpacked, error) {
	u := &Unpacked{Data: make([]byte, s.Size), Blocks: s.Blocks}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, block := range s.Blocks {
		to := u.Block(i)
		g.Go(func() error {
			z, err := reader(block.Packed)
			if err != nil {
				return err
			}
			defer readers.Put(z)
			if _, err := io.ReadFull(z, to); err != nil {
				return err
			}
			if n, err := z.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) { // which compares the checksum
				return errors.Join(cache.ErrDigest, err)
			}
			return nil
		})
	}
	return u, g.Wait()
}
