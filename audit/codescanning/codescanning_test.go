package codescanning_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hardstand/hardstand/audit/codescanning"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestLimited(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var tried []int
	write := func(results int) ([]byte, error) {
		tried = append(tried, results)
		data := make([]byte, 1000*min(results, 40))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		return data, nil
	}
	for _, c := range []struct {
		zipped int
		tried  []int
	}{{50_000, []int{100}}, {15_000, []int{100, 20, 10}}, {100, []int{100, 20, 10, 5, 2, 1, 0}}} {
		tried = nil
		data, err := codescanning.Limited(40, 100, c.zipped, write)
		if err != nil || !slices.Equal(tried, c.tried) || len(data) > c.zipped {
			t.Errorf("at most %d bytes: tried %v, want %v; %d bytes, %v", c.zipped, tried, c.tried, len(data), err)
		}
	}
	// What gzip makes small enough is not cut.
	data, err := codescanning.Limited(10, 10, 5000, func(int) ([]byte, error) { return make([]byte, 1<<20), nil })
	if err != nil || !bytes.Equal(data, make([]byte, 1<<20)) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct{ text, want string }{{"", ""}, {"abc", "abc"}, {"abcd", "abcd"}, {"abcde", "abc…"}, {"äöüß", "äöüß"}, {"äöüßß", "äöü…"}} {
		if got := codescanning.Clip(c.text, 4); got != c.want {
			t.Errorf("Clip(%q, 4) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestBoundary(t *testing.T) { deptest.Check(t, nil) }
