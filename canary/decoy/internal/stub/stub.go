// Package stub makes tier A decoys: whole ELF programs of under six kilobytes
// that raise an authenticated alarm within some hundred microseconds of
// execve, without a runtime to start. The code is assembled by the Go
// toolchain from stub_ARCH.s and kept here as code_ARCH.bin; a test assembles
// it again and compares. Nothing is compiled when an image is built.
package stub

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the code
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"github.com/hardstand/hardstand/canary/alert"
)

//go:embed code_amd64.bin
var codeAMD64 []byte

//go:embed code_arm64.bin
var codeARM64 []byte

// Params is what one decoy knows.
type Params struct {
	Build  string
	Decoy  string
	Key    alert.Key
	OnTrip string
	Marker string // path
	Proof  []byte // content of the marker
	Socket string // abstract, without the leading NUL
	Chain  string // program to become after the alarm; it plays the part
	Hold   bool   // leave the policy to Chain
	Seed   uint64 // masks the data
	Size   int    // pads the program to at least so many bytes

	// Without Chain, Face is printed to descriptor 1 or 2 and Code returned.
	Face   string
	Stream int
	Code   int
}

// Supports says whether there is code for a GOARCH.
func Supports(arch string) bool { return arch == "amd64" || arch == "arm64" }

// MaxFace bounds Params.Face, in bytes.
const MaxFace = 200

// Layout of the data, as in layout.h.
const (
	base      = 0x600100
	stateSize = 8 * (1 + 255)

	offInner, offOuter, offRound                           = 0x008, 0x028, 0x048
	offBlocks, offLength, offMark, offProofLen, offAddrLen = 0x148, 0x14c, 0x150, 0x158, 0x15c
	offFaceLen, offFaceFD, offFaceCode, offPolicy          = 0x160, 0x164, 0x168, 0x16c
	offOuterPad, offMarker, offMarkerRoot, offProof        = 0x170, 0x190, 0x1d0, 0x220
	offAddr, offChain, offNsPid, offProcSelf, offProcOne   = 0x250, 0x290, 0x2f0, 0x308, 0x318
	offLog, offSlash, offInitial, offLatches, offFace      = 0x320, 0x330, 0x338, 0x348, 0x388
	offOwnGroups, offOneGroups, offLine, offMessage        = 0x450, 0x468, 0x47f, 0x480
)

// frame is the message up to the decoy's constants; blanks are gaps that the
// code fills in. Blanks before a number are JSON.
const frame = alert.Prefix + `{"nonce":"` + "                                " + `","time":` + "                " +
	`,"n":          ,"latch":          ,"uid":          ,"euid":          ,"gid":          ,"pid":          ,"ppid":          ,`

// Program returns the ELF file for a GOARCH.
func Program(arch string, p Params) ([]byte, error) {
	var code []byte
	var machine uint16
	switch arch {
	case "amd64":
		code, machine = codeAMD64, 62 // EM_X86_64
	case "arm64":
		code, machine = codeARM64, 183 // EM_AARCH64
	default:
		return nil, fmt.Errorf("make tier A decoy: no code for %s", arch)
	}
	state, err := p.state()
	if err != nil {
		return nil, fmt.Errorf("make tier A decoy %s: %w", p.Decoy, err)
	}
	program := link(machine, state, code[4:], binary.LittleEndian.Uint32(code))
	if pad := p.Size - len(program); pad > 0 {
		noise := make([]byte, (pad+7)/8*8)
		mask(noise, p.Seed^0x5bd1e995)
		program = append(program, noise[:pad]...)
	}
	return program, nil
}

// link writes an ELF64 header (System V ABI, chapter 4), two program headers,
// the data and the code. File offsets equal addresses modulo 64 KiB, so that
// the program runs with any page size.
func link(machine uint16, state, code []byte, entry uint32) []byte {
	const (
		dataAddress = base &^ 0xffff
		codeAddress = 0x400000
		header      = base - dataAddress
		memory      = 0x3000
	)
	codeAt := uint64(header + len(state))
	le := binary.LittleEndian
	b := append([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, make([]byte, 9)...)
	b = le.AppendUint16(b, 2) // ET_EXEC
	b = le.AppendUint16(b, machine)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, codeAddress+codeAt+uint64(entry))
	b = le.AppendUint64(b, 64) // program headers
	b = le.AppendUint64(b, 0)  // no sections
	b = le.AppendUint32(b, 0)
	for _, half := range []uint16{64, 56, 2, 64, 0, 0} {
		b = le.AppendUint16(b, half)
	}
	segment := func(flags uint32, offset, address, file, mem uint64) {
		b = le.AppendUint32(b, 1) // PT_LOAD
		b = le.AppendUint32(b, flags)
		for _, word := range []uint64{offset, address, address, file, mem, 0x10000} {
			b = le.AppendUint64(b, word)
		}
	}
	segment(6, 0, dataAddress, codeAt, header+memory) // RW
	segment(5, codeAt, codeAddress+codeAt, uint64(len(code)), uint64(len(code)))
	b = append(b, make([]byte, header-len(b))...)
	return append(append(b, state...), code...)
}

// state lays out the data.
func (p Params) state() ([]byte, error) {
	s := layout{bytes: make([]byte, stateSize)}
	inner, outer := p.midstates()
	s.words(offInner, inner[:])
	s.words(offOuter, outer[:])
	s.words(offRound, roundConstants[:])
	s.bytes[offOuterPad] = 0x80
	binary.BigEndian.PutUint64(s.bytes[offOuterPad+24:], 8*(64+32))
	s.message(p)
	binary.LittleEndian.PutUint64(s.bytes[offMark:], alert.Mark(p.Decoy, epoch))
	s.text(offMarker, 63, p.Marker)
	s.text(offMarkerRoot, 79, "/proc/1/root"+p.Marker)
	s.number(offProofLen, s.text(offProof, 48, string(p.Proof)))
	s.number(offAddrLen, s.text(offAddr, 64, "\x01\x00\x00"+p.Socket))
	s.text(offChain, 95, p.Chain)
	s.text(offNsPid, 23, "/proc/self/ns/pid")
	s.text(offProcSelf, 15, "/proc/self")
	s.text(offProcOne, 7, "/proc/1")
	s.text(offLog, 15, "/proc/1/fd/2")
	s.text(offSlash, 7, "/")
	s.text(offOwnGroups, 23, "/proc/self/cgroup")
	s.text(offOneGroups, 22, "/proc/1/cgroup")
	s.text(offInitial, 16, "pid:[4026531836]")
	for i, latch := range []string{alert.LatchSet, alert.LatchAlready, alert.LatchDenied, alert.LatchUnproven} {
		s.text(offLatches+16*i, 10, fmt.Sprintf("%-10s", `"`+latch+`"`))
	}
	s.number(offFaceLen, s.text(offFace, MaxFace, p.Face))
	s.number(offFaceFD, p.Stream)
	s.number(offFaceCode, p.Code)
	if !p.Hold {
		s.number(offPolicy, map[string]int{alert.TripDegrade: 1, alert.TripFall: 2}[p.OnTrip])
	}
	seed := p.Seed | 1
	binary.LittleEndian.PutUint64(s.bytes, seed)
	mask(s.bytes[8:], seed)
	return s.bytes, s.err
}

var epoch = alert.MarkEpoch()

type layout struct {
	bytes []byte
	err   error
}

func (s *layout) words(at int, words []uint32) {
	for i, w := range words {
		binary.LittleEndian.PutUint32(s.bytes[at+4*i:], w)
	}
}

func (s *layout) number(at, n int) { binary.LittleEndian.PutUint32(s.bytes[at:], uint32(n)) }

func (s *layout) text(at, room int, text string) int {
	if len(text) > room && s.err == nil {
		s.err = fmt.Errorf("%q is longer than %d bytes", text, room)
	}
	return copy(s.bytes[at:at+room], text)
}

// message writes the alarm with its gaps, padded for SHA-256 behind the block
// that the prepared state has already taken in.
func (s *layout) message(p Params) {
	text := frame + `"build":"` + p.Build + `","decoy":"` + p.Decoy + `","key":"` + p.Key.ID() + `","on":"` + p.OnTrip + `"}`
	blocks := (len(text) + 1 + 8 + 63) / 64
	room := s.bytes[offMessage:]
	if 64*blocks > len(room) {
		s.err = errors.Join(s.err, errors.New("the build id and name are too long"))
		return
	}
	s.bytes[offLine] = '\n'
	copy(room, text)
	room[len(text)] = 0x80
	binary.BigEndian.PutUint64(room[64*blocks-8:], uint64(8*(64+len(text))))
	s.number(offBlocks, blocks)
	s.number(offLength, len(text))
}

// midstates are the states of SHA-256 after the two key blocks of HMAC (RFC
// 2104), so that the program need not hold the key itself.
func (p Params) midstates() (inner, outer [8]uint32) {
	key := p.Key.Bytes()
	block := func(pad byte) (words [8]uint32) {
		h := sha256.New()
		b := bytes.Repeat([]byte{pad}, 64)
		for i, k := range key {
			b[i] ^= k
		}
		h.Write(b)
		return stateOf(h)
	}
	return block(0x36), block(0x5c)
}

// stateOf reads the state from the form in which package sha256 saves it:
// four bytes of magic, then eight words.
func stateOf(h hash.Hash) (words [8]uint32) {
	saved, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic(err) // not for SHA-256
	}
	for i := range words {
		words[i] = binary.BigEndian.Uint32(saved[4+4*i:])
	}
	return words
}

// mask applies an xorshift64* keystream (Vigna, 2016) by words. It hides text
// from `strings` and is no encryption.
func mask(b []byte, seed uint64) {
	state := seed | 1
	for i := 0; i+8 <= len(b); i += 8 {
		state ^= state >> 12
		state ^= state << 25
		state ^= state >> 27
		word := binary.LittleEndian.Uint64(b[i:]) ^ state*0x2545F4914F6CDD1D
		binary.LittleEndian.PutUint64(b[i:], word)
	}
}

// Version names the code: 16 hexadecimal digits.
func Version() string {
	sum := sha256.Sum256(append(bytes.Clone(codeAMD64), codeARM64...))
	return hex.EncodeToString(sum[:8])
}
