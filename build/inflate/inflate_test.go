package inflate

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
)

// samples are contents of many kinds: text, programs, noise, runs, nothing.
func samples() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	skewed := make([]byte, 50_000) // long codes
	for i := range skewed {
		v := 0
		for v < 200 && random.IntN(2) == 0 {
			v++
		}
		skewed[i] = byte(v * 7)
	}
	var text bytes.Buffer
	for text.Len() < 400_000 {
		for _, w := range []string{"Package: ", "Version: ", "Depends: libc6 (>= 2.38), ", "amd64", "\n"} {
			text.WriteString(w)
			text.WriteByte(byte('a' + random.IntN(26)))
		}
	}
	periods := []byte{}
	for period := 1; period < 20; period++ {
		periods = append(periods, bytes.Repeat(noise[:period], 5000/period)...)
	}
	far := append(append(bytes.Clone(noise[:32768]), noise[:300]...), noise[1:260]...)
	return map[string][]byte{
		"nothing": nil, "a byte": {7}, "noise": noise, "skewed": skewed, "text": text.Bytes(), "zeros": make([]byte, 600_000),
		"periods": periods, "far": far, "program": bytes.Repeat(append(noise[:5000:5000], text.Bytes()[:9000]...), 10),
	}
}

func pack(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func stdPack(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := stdgzip.NewWriterLevel(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	z.Name, z.Comment, z.Extra = "a name", "a comment", []byte("extra")
	for i := 0; i < len(data); i += 100_000 {
		if _, err := z.Write(data[i:min(len(data), i+100_000)]); err != nil {
			t.Fatal(err)
		}
		if err := z.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unpack(r io.Reader) ([]byte, error) {
	z, err := NewReader(r)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// Whatever a compressor writes comes back, however it is read.
func TestRoundTrip(t *testing.T) {
	for name, data := range samples() {
		for _, level := range []int{stdgzip.HuffmanOnly, 0, 1, 6, 9} {
			for _, packed := range [][]byte{pack(t, data, level), stdPack(t, data, level)} {
				if got, err := unpack(bytes.NewReader(packed)); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s at level %d: %d bytes of %d, %v", name, level, len(got), len(data), err)
				}
				var out bytes.Buffer
				z, err := NewReader(iotest.HalfReader(bytes.NewReader(packed)))
				if err != nil {
					t.Fatal(name, err)
				}
				if _, err := z.WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), data) {
					t.Errorf("%s at level %d, half by half: %d bytes of %d, %v", name, level, out.Len(), len(data), err)
				}
			}
		}
	}
}

// Members follow one another, in one stream and in a Reader that is used again,
// and none sees what another left behind.
func TestMembers(t *testing.T) {
	all := samples()
	var packed, want []byte
	for _, name := range []string{"far", "nothing", "noise", "a byte", "program", "skewed"} {
		packed, want = append(packed, pack(t, all[name], 6)...), append(want, all[name]...)
	}
	z, err := NewReader(iotest.OneByteReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	if err := z.Reset(bytes.NewReader(packed)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want) {
		t.Errorf("again: %d bytes of %d, %v", len(got), len(want), err)
	}
	// A match in the second member that reaches into the first.
	back := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 0x03, 0x02, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	if _, err := unpack(bytes.NewReader(append(pack(t, all["text"], 6), back...))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a match into another member: %v, want %v", err, ErrCorrupt)
	}
}

// A stream that ends early or has a byte changed is an error, never other
// content.
func TestDamage(t *testing.T) {
	data := samples()["program"][:14_500]
	packed := pack(t, data, 6)
	z, err := NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	unpack := func(r io.Reader) ([]byte, error) {
		if err := z.Reset(r); err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
	for end := range packed {
		if _, err := unpack(bytes.NewReader(packed[:end])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d bytes of %d: %v, want %v", end, len(packed), err, io.ErrUnexpectedEOF)
		}
	}
	ignored := map[int]bool{4: true, 5: true, 6: true, 7: true, 8: true, 9: true} // time, flags of the compressor, system
	for i := range packed {
		damaged := bytes.Clone(packed)
		damaged[i] ^= 0x15
		if got, err := unpack(bytes.NewReader(damaged)); err == nil && !ignored[i] {
			t.Fatalf("byte %d changed: no error, %d bytes", i, len(got))
		}
	}
	if _, err := unpack(bytes.NewReader(append(bytes.Clone(packed), "more"...))); !errors.Is(err, ErrFormat) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("bytes after the stream: %v", err)
	}
	broken := errors.New("broken")
	if _, err := unpack(io.MultiReader(bytes.NewReader(packed[:5000]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// FuzzReader compares with the standard library.
func FuzzReader(f *testing.F) {
	for _, data := range samples() {
		data = data[:min(len(data), 3000)]
		for _, level := range []int{stdgzip.HuffmanOnly, 0, 1, 6, 9} {
			f.Add(pack(f, data, level))
		}
		f.Add(stdPack(f, data, 6))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		got, err := unpack(io.LimitReader(bytes.NewReader(packed), 1<<20))
		want, wantErr := []byte(nil), error(nil)
		if z, err := stdgzip.NewReader(bytes.NewReader(packed)); err != nil {
			wantErr = err
		} else {
			want, wantErr = io.ReadAll(z)
		}
		if (err == nil) != (wantErr == nil) {
			if len(packed) > 3 && packed[3]&(flagName|flagComment) != 0 { // it has another limit for names
				t.Skip("names in the header")
			}
			t.Fatalf("%v, the standard library says %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, the standard library has %d others", len(got), len(want))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	for _, name := range []string{"text", "program"} {
		data := samples()[name]
		packed := pack(b, data, 6)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			z, err := NewReader(bytes.NewReader(packed))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := z.Reset(bytes.NewReader(packed)); err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, z); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
