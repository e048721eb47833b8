package xz_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	other "github.com/therootcompany/xz"

	"github.com/hardstand/hardstand/build/xz"
)

const dictMax = 64 << 20

func unpack(packed []byte) ([]byte, error) {
	r, err := xz.NewReader(bytes.NewReader(packed), dictMax)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // it never fails
	return io.ReadAll(r)
}

// pack runs the xz program.
func pack(t testing.TB, plain []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("xz", append(args, "-c")...)
	cmd.Stdin = bytes.NewReader(plain)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("xz %v: %v", args, err)
	}
	return out
}

// samples are contents that make the coder take each of its ways.
func samples() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	words := strings.Fields("an apple a day keeps the doctor away and the other one too")
	var text strings.Builder
	for text.Len() < 3<<19 {
		text.WriteString(words[random.IntN(len(words))])
		text.WriteByte(" \n."[random.IntN(3)])
		if random.IntN(50) == 0 {
			fmt.Fprintf(&text, "%d", random.Uint64())
		}
	}
	distant := bytes.Repeat(append(bytes.Clone(noise), text.String()[:1<<20]...), 3)
	self, _ := os.ReadFile("/proc/self/exe") // a program, where there is one
	return map[string][]byte{
		"nothing": nil, "one": {'x'}, "zeros": make([]byte, 5<<20), "noise": noise,
		"text": []byte(text.String()), "distant": distant, "program": self[:min(len(self), 1<<20)],
		"periods": bytes.Repeat([]byte("abcdefg"), 100_000),
	}
}

func TestUnpacksWhatXZPacks(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("no xz program here; scripts/need installs it")
	}
	for name, plain := range samples() {
		ways := [][]string{{"-6"}, {"--lzma2=dict=4KiB"}}
		if name == "text" || name == "program" {
			ways = append(ways, []string{"-0"}, []string{"--check=none", "-1"}, []string{"--check=crc32", "-1"}, []string{"--check=sha256", "-1"},
				[]string{"-T2", "-1", "--block-size=262144"}, []string{"--lzma2=dict=64KiB,lc=0,lp=4,pb=4"},
				[]string{"--lzma2=dict=1MiB,lc=4,lp=0,pb=0"}, []string{"--lzma2=preset=0,mode=fast,nice=2,lc=2,lp=2"})
		}
		for _, args := range ways {
			t.Run(name+strings.Join(args, ""), func(t *testing.T) {
				got, err := unpack(pack(t, plain, args...))
				if err != nil || sha256.Sum256(got) != sha256.Sum256(plain) {
					t.Fatalf("%d bytes of %d, %v", len(got), len(plain), err)
				}
			})
		}
	}
}

func small(t testing.TB) []byte {
	t.Helper()
	packed, err := os.ReadFile("testdata/small.xz")
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestStreamsAndPadding(t *testing.T) {
	packed := small(t)
	plain, err := unpack(packed)
	if err != nil || len(plain) == 0 {
		t.Fatal(len(plain), err)
	}
	for _, padding := range []int{0, 4, 8} {
		both := append(append(bytes.Clone(packed), make([]byte, padding)...), packed...)
		if got, err := unpack(both); err != nil || !bytes.Equal(got, append(bytes.Clone(plain), plain...)) {
			t.Errorf("two streams, %d bytes between: %d bytes, %v", padding, len(got), err)
		}
		if _, err := unpack(append(bytes.Clone(packed), make([]byte, padding+1)...)); err == nil {
			t.Errorf("%d bytes of padding: no error", padding+1)
		}
	}
	if _, err := unpack(append(bytes.Clone(packed), "tail"...)); err == nil {
		t.Error("text behind the stream: no error")
	}
	r, err := xz.NewReader(iotest.OneByteReader(bytes.NewReader(packed)), dictMax)
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(r, plain); err != nil {
		t.Error(err)
	}
}

func TestTruncatedAnywhere(t *testing.T) {
	packed := small(t)
	for n := range packed {
		if _, err := unpack(packed[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d of %d bytes: %v", n, len(packed), err)
		}
	}
}

func TestDamagedAnywhere(t *testing.T) {
	packed := small(t)
	for i := range packed {
		bit := i % 8
		damaged := bytes.Clone(packed)
		damaged[i] ^= 1 << bit
		if _, err := unpack(damaged); err == nil {
			t.Fatalf("bit %d of byte %d: no error", bit, i)
		}
	}
}

func TestLimits(t *testing.T) {
	if _, err := unpack([]byte("this is not an xz stream")); !errors.Is(err, xz.ErrFormat) {
		t.Errorf("text: %v", err)
	}
	r, err := xz.NewReader(bytes.NewReader(small(t)), 1<<20)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, xz.ErrDictionary) {
		t.Errorf("a dictionary of 8 MiB where 1 MiB is allowed: %v", err)
	}
	if r != nil {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("read after Close: %v", err)
		}
	}
}

// FuzzReader compares with another decoder: what both accept must be the same.
func FuzzReader(f *testing.F) {
	f.Add(small(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packed []byte) {
		const limit = 8 << 20
		ours, err := xz.NewReader(bytes.NewReader(packed), 1<<20)
		if err != nil {
			return
		}
		defer ours.Close() //nolint:errcheck // it never fails
		got, err := io.ReadAll(io.LimitReader(ours, limit))
		if err != nil {
			return
		}
		theirs, err := other.NewReader(bytes.NewReader(packed), 1<<20)
		if err != nil {
			t.Fatalf("we accept what another decoder refuses: %v", err)
		}
		want, err := io.ReadAll(io.LimitReader(theirs, limit))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, another decoder %d, %v", len(got), len(want), err)
		}
	})
}

// BenchmarkReader unpacks the file that XZ_FILE names, such as a package's
// data.tar.xz, beside the decoder that was used before.
func BenchmarkReader(b *testing.B) {
	var packed []byte
	if name := os.Getenv("XZ_FILE"); name != "" {
		var err error
		if packed, err = os.ReadFile(name); err != nil {
			b.Fatal(err)
		}
	} else {
		packed = pack(b, samples()["program"], "-6")
	}
	plain, err := unpack(packed)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			r, err := xz.NewReader(bytes.NewReader(packed), dictMax)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
				b.Fatal(err)
			}
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("therootcompany", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			r, err := other.NewReader(bytes.NewReader(packed), dictMax)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
