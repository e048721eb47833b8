// Package config is what an image's decoys and its guard know: the block of
// bytes in a program that the builder fills in. It is masked so that
// `strings` shows nothing; what keeps it secret is that the program may be
// executed but not read.
package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Size of the block in the program, in bytes.
const Size = 16384

const (
	magicSize = 32
	version   = 1
)

// Config is the content of a block.
type Config struct {
	Build     string // build id of the image
	Marker    string // absolute path of the file that proves the image
	Proof     []byte // its content
	Socket    string // abstract socket name, without the leading NUL
	Collector string // https URL, or empty
	CA        []byte // PEM of the collector's CA, or empty for the image's bundle
	Zone      string // DNS zone, or empty
	Decoys    []Decoy

	// For the guard only.
	Allowed []string // programs that may be executed below it
	Deny    bool     // refuse every other program
	Planted []string // paths of the decoys
	Watched []string // files and folders
	Pipes   []Pipe
}

// Pipe is a named pipe that tells who reads it.
type Pipe struct {
	Path    string
	Content []byte // what the reader gets
}

// Decoy is one applet.
type Decoy struct {
	Name   string
	Key    [32]byte
	Quiet  bool
	OnTrip string
}

// Magic tells an unfilled block from any other data. It is made up at run
// time, so that a program holds it only once: in the block.
func Magic() []byte {
	magic := make([]byte, magicSize)
	mask(magic, 0x6861_7264_7374_616e)
	return magic
}

// Networked says whether an unfilled program can report to a collector: the
// byte behind the magic is 1.
func Networked(program []byte) bool {
	at := bytes.Index(program, Magic())
	return at >= 0 && at+magicSize < len(program) && program[at+magicSize] == 1
}

// Find returns where the unfilled block of a program begins and ends, in bytes, 0
// and 0 if it has none.
func Find(program []byte) (from, to int) {
	at := bytes.Index(program, Magic())
	if at < 0 || at+Size > len(program) {
		return 0, 0
	}
	return at, at + Size
}

// Fill fills the one unfilled block of a program, in place, and returns it. seed
// masks the block; the same seed and configuration give the same bytes.
func Fill(program []byte, c Config, seed uint64) ([]byte, error) {
	at, end := Find(program)
	if end == 0 {
		return nil, errors.New("fill decoy program: it has no configuration block; is it the multi-call program, and not filled already?")
	}
	if bytes.Contains(program[at+1:], Magic()) {
		return nil, errors.New("fill decoy program: it has more than one configuration block")
	}
	block, err := encode(c, seed)
	if err != nil {
		return nil, fmt.Errorf("fill decoy program: %w", err)
	}
	copy(program[at:], block)
	return program, nil
}

// ErrEmpty says that a block was never filled.
var ErrEmpty = errors.New("decoy program is not configured")

// Parse reads a block of Size bytes.
func Parse(block []byte) (Config, error) {
	if len(block) != Size {
		return Config{}, errors.New("parse decoy configuration: wrong size")
	}
	if bytes.HasPrefix(block, Magic()) {
		return Config{}, ErrEmpty
	}
	plain := bytes.Clone(block[8:])
	mask(plain, binary.LittleEndian.Uint64(block))
	return decode(plain)
}

func encode(c Config, seed uint64) ([]byte, error) {
	w := writer{version}
	for _, field := range [][]byte{[]byte(c.Build), []byte(c.Marker), c.Proof, []byte(c.Socket), []byte(c.Collector), c.CA, []byte(c.Zone)} {
		w.field(field)
	}
	w = binary.LittleEndian.AppendUint16(w, uint16(len(c.Decoys)))
	for _, d := range c.Decoys {
		w.field([]byte(d.Name))
		w = append(w, d.Key[:]...)
		w.field([]byte(d.OnTrip))
		w = append(w, boolByte(d.Quiet))
	}
	w.texts(c.Allowed)
	w = append(w, boolByte(c.Deny))
	w.texts(c.Planted)
	w.texts(c.Watched)
	w = binary.LittleEndian.AppendUint16(w, uint16(len(c.Pipes)))
	for _, p := range c.Pipes {
		w.field([]byte(p.Path))
		w.field(p.Content)
	}
	if len(w) > Size-8 {
		return nil, fmt.Errorf("configuration needs %d bytes, the block has %d: use fewer decoys or a smaller CA", len(w), Size-8)
	}
	block := make([]byte, Size)
	binary.LittleEndian.PutUint64(block, seed)
	copy(block[8:], w)
	mask(block[8:], seed)
	return block, nil
}

func decode(plain []byte) (Config, error) {
	r := reader{rest: plain}
	if v := r.take(1); len(v) != 1 || v[0] != version {
		return Config{}, errors.New("parse decoy configuration: unknown version")
	}
	c := Config{
		Build: string(r.field()), Marker: string(r.field()), Proof: r.field(), Socket: string(r.field()),
		Collector: string(r.field()), CA: r.field(), Zone: string(r.field()),
	}
	for n := r.number(); n > 0 && !r.short; n-- {
		d := Decoy{Name: string(r.field())}
		copy(d.Key[:], r.take(len(d.Key)))
		d.OnTrip = string(r.field())
		d.Quiet = bytes.Equal(r.take(1), []byte{1})
		c.Decoys = append(c.Decoys, d)
	}
	c.Allowed = r.texts()
	c.Deny = bytes.Equal(r.take(1), []byte{1})
	c.Planted = r.texts()
	c.Watched = r.texts()
	for n := r.number(); n > 0 && !r.short; n-- {
		c.Pipes = append(c.Pipes, Pipe{Path: string(r.field()), Content: r.field()})
	}
	if r.short {
		return Config{}, errors.New("parse decoy configuration: it is cut short")
	}
	return c, nil
}

type writer []byte

func (w *writer) field(b []byte) {
	*w = append(binary.LittleEndian.AppendUint16(*w, uint16(len(b))), b...)
}

func (w *writer) texts(list []string) {
	*w = binary.LittleEndian.AppendUint16(*w, uint16(len(list)))
	for _, text := range list {
		w.field([]byte(text))
	}
}

type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.short = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) number() int {
	b := r.take(2)
	if r.short {
		return 0
	}
	return int(binary.LittleEndian.Uint16(b))
}

func (r *reader) texts() (list []string) {
	for n := r.number(); n > 0 && !r.short; n-- {
		list = append(list, string(r.field()))
	}
	return list
}

func (r *reader) field() []byte { return r.take(r.number()) }

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// mask applies an xorshift64* keystream (Vigna, 2016). It hides text from
// `strings` and is no encryption.
func mask(b []byte, seed uint64) {
	state := seed | 1
	for i := range b {
		state ^= state >> 12
		state ^= state << 25
		state ^= state >> 27
		b[i] ^= byte(state * 0x2545F4914F6CDD1D >> 56)
	}
}
