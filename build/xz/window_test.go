package xz

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
)

// A closed Reader leaves its window to the next one, and whatever it had not
// handed out yet is gone.
func TestCloseGivesTheWindowBack(t *testing.T) {
	packed, err := os.ReadFile("testdata/small.xz")
	if err != nil {
		t.Fatal(err)
	}
	reused := 0
	for range 100 { // a pool may forget, and does under the race detector
		r, err := NewReader(bytes.NewReader(packed), 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if r.read == r.pos {
			t.Fatal("nothing is left to read")
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("read after Close: %d bytes, %v", n, err)
		}
		if pooled, ok := windows.Get().(*[]byte); ok {
			if len(*pooled) < window {
				t.Fatalf("a window of %d bytes", len(*pooled))
			}
			reused++
			windows.Put(pooled)
		}
	}
	if reused == 0 {
		t.Error("no window came back")
	}
}
