package config

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sample = Config{
	Build: "b1", Marker: "/etc/image-id", Proof: []byte("0011\n"), Socket: "s", Collector: "https://c/", CA: []byte("pem"), Zone: "z.test",
	Decoys:  []Decoy{{Name: "ls", Key: [32]byte{1, 2}, Quiet: true, OnTrip: "alert"}, {Name: "sh", OnTrip: "fall"}},
	Allowed: []string{"/app"}, Deny: true, Planted: []string{"/usr/bin/ls"}, Watched: []string{"/etc/a", "/b"}, Pipes: []Pipe{{"/p", []byte("x")}},
}

func empty() []byte { return append(Magic(), make([]byte, Size)...) }

func TestFilledBlockReadsBack(t *testing.T) {
	for _, seed := range []uint64{0, 1, 1 << 63} {
		filled, err := Fill(append([]byte("before"), empty()...), sample, seed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(filled[len("before"):][:Size])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sample, got); diff != "" {
			t.Error(diff)
		}
		if bytes.Contains(filled, Magic()) {
			t.Error("the magic is left in the program")
		}
	}
}

func TestParseTellsAnUnfilledBlock(t *testing.T) {
	if _, err := Parse(empty()[:Size]); !errors.Is(err, ErrEmpty) {
		t.Errorf("got %v", err)
	}
	if _, err := Parse(nil); err == nil {
		t.Error("a short block was accepted")
	}
}

func FuzzParse(f *testing.F) {
	filled, err := Fill(empty(), sample, 7)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(filled[:Size])
	f.Add(make([]byte, Size))
	f.Fuzz(func(t *testing.T, block []byte) {
		c, err := Parse(append(block, make([]byte, Size)...)[:Size])
		if err != nil {
			return
		}
		if _, err := encode(c, 1); err != nil {
			t.Errorf("a block that was read does not encode: %v", err)
		}
	})
}

func TestCleanKeepsWhatIsNeeded(t *testing.T) {
	in := "\xff Go buildinf:....path\tgithub.com/x" + buildInfoEnd + "|runtime.main|github.com/hardstand/hardstand/canary/alert|hardstand-canary/1 |hardstand-canary-dns/1 "
	got := string(Clean([]byte(in)))
	if len(got) != len(in) {
		t.Fatalf("%d bytes became %d", len(in), len(got))
	}
	if want := "|support.main|src/internal/platform/portable/common/alert|hardstand-canary/1 |hardstand-canary-dns/1 "; !strings.HasSuffix(got, want) || strings.Trim(strings.TrimSuffix(got, want), "\x00") != "" {
		t.Errorf("%q", got)
	}
}
