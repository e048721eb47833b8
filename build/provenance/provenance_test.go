package provenance_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/provenance"
	"github.com/hardstand/hardstand/build/spec"
)

func input() provenance.Input {
	hex := strings.Repeat("ab", 32)
	amd := spec.Platform{Arch: "amd64"}
	return provenance.Input{
		Definition: &spec.Definition{Name: "x", Packages: []string{"tzdata"}, Debian: spec.Debian{Suite: "trixie"}, Canary: &spec.Canary{Decoys: []string{"secret-decoy"}}},
		Lock: &spec.Lock{Suites: []spec.LockedSuite{{Suite: "trixie", InRelease: "sha256:" + hex, Keys: []string{"AA", "BB"}}},
			Platforms: map[string][]*spec.Package{"linux/amd64": {{Name: "tzdata", Version: "1", Architecture: "all", Source: "tzdata", SourceVersion: "1", SHA256: hex}}}},
		Platforms: []spec.Platform{amd}, Epoch: time.Unix(1_700_000_000, 0), Encoder: "gzip", Version: "dev",
		Programs: map[string]string{"probe-linux-amd64": hex},
	}
}

func TestPredicate(t *testing.T) {
	a, err := provenance.Predicate(input())
	if err != nil {
		t.Fatal(err)
	}
	b, err := provenance.Predicate(input())
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("the same input gives other bytes: %v", err)
	}
	if bytes.Contains(a, []byte("secret-decoy")) {
		t.Error("the provenance names a decoy")
	}
	var p struct {
		BuildDefinition struct {
			BuildType            string
			ExternalParameters   map[string]any
			ResolvedDependencies []struct {
				Name, URI string
				Digest    map[string]string
			}
		}
		RunDetails struct{ Builder struct{ ID string } }
	}
	if err := json.Unmarshal(a, &p); err != nil {
		t.Fatal(err)
	}
	if len(p.BuildDefinition.ResolvedDependencies) != 3 || p.BuildDefinition.BuildType == "" || p.RunDetails.Builder.ID == "" {
		t.Errorf("predicate: %s", a)
	}
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if len(d.Digest["sha256"]) != 64 {
			t.Errorf("%s has digest %v", d.Name, d.Digest)
		}
	}
	if p.BuildDefinition.ExternalParameters["sourceDateEpoch"] != float64(1_700_000_000) {
		t.Errorf("parameters: %v", p.BuildDefinition.ExternalParameters)
	}
}
