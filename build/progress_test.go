package build_test

import (
	"sync"
	"testing"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/spec"
)

// TestProgressReachesItsTotals counts the last step of each kind.
func TestProgressReachesItsTotals(t *testing.T) {
	dir, keys := mirror(t)
	var mu sync.Mutex
	furthest := map[string]build.Step{}
	o := build.Options{Platforms: []spec.Platform{{Arch: "amd64"}}, Progress: func(s build.Step) {
		mu.Lock()
		defer mu.Unlock()
		if s.Done > furthest[s.What].Done {
			furthest[s.What] = s
		}
	}}
	r := open(t, dir, keys, t.TempDir()).build(t, parse(t, definition), o)
	for what, total := range map[string]int{"packages": len(r.Images[0].Packages), "layers": len(layerDigests(t, r.Images[0]))} {
		if s := furthest[what]; s.Done != total || s.Total != total {
			t.Errorf("%s: %+v, want %d", what, s, total)
		}
	}
}
