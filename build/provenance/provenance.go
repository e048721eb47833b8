// Package provenance says how an image came to be: a SLSA provenance v1
// predicate made of the definition, the lock and the tool. It claims nothing
// about who ran the build; that is for whoever signs it.
//
// Format: https://slsa.dev/spec/v1.0/provenance.
package provenance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

// BuildType names what the parameters below mean; docs/provenance.md says it.
const BuildType = "https://github.com/hardstand/hardstand/blob/main/docs/provenance.md#v1"

// PredicateType is that of the predicate, for in-toto.
const PredicateType = "https://slsa.dev/provenance/v1"

// BuilderID names the tool. A build that one process runs and signs with its
// own key reaches SLSA level 1, whatever the id.
const BuilderID = "https://github.com/hardstand/hardstand"

// Input is what a predicate is made of.
type Input struct {
	Definition *spec.Definition
	Lock       *spec.Lock
	Platforms  []spec.Platform // those in the subject
	Created    time.Time       // of the image
	Epoch      time.Time       // SOURCE_DATE_EPOCH, zero when unset
	Encoder    string
	Version    string            // of hardstand
	Programs   map[string]string // embedded programs by name, SHA-256
	Base       *Base             // the image started from, or nil
}

// Base is an image that another starts from.
type Base struct {
	Reference string // REGISTRY/REPOSITORY@sha256:HEX
	SignedBy  []string
}

type predicate struct {
	BuildDefinition buildDefinition `json:"buildDefinition"`
	RunDetails      runDetails      `json:"runDetails"`
}

type buildDefinition struct {
	BuildType            string       `json:"buildType"`
	ExternalParameters   external     `json:"externalParameters"`
	InternalParameters   internal     `json:"internalParameters"`
	ResolvedDependencies []dependency `json:"resolvedDependencies"`
}

type external struct {
	Definition      *spec.Definition `json:"definition"`
	Platforms       []spec.Platform  `json:"platforms"`
	SourceDateEpoch int64            `json:"sourceDateEpoch,omitempty"`
}

type internal struct {
	Compressor string `json:"compressor"`
}

type dependency struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type runDetails struct {
	Builder  builder  `json:"builder"`
	Metadata metadata `json:"metadata"`
}

type builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version"`
}

type metadata struct {
	InvocationID string `json:"invocationId"`
}

// Predicate returns the predicate. The decoys that a definition asks for are
// left out: an attestation is public.
func Predicate(in Input) ([]byte, error) {
	d := *in.Definition
	d.Canary = nil
	p := predicate{
		BuildDefinition: buildDefinition{
			BuildType:          BuildType,
			ExternalParameters: external{Definition: &d, Platforms: in.Platforms},
			InternalParameters: internal{in.Encoder},
		},
		RunDetails: runDetails{Builder: builder{BuilderID, map[string]string{"hardstand": in.Version}}},
	}
	if !in.Epoch.IsZero() {
		p.BuildDefinition.ExternalParameters.SourceDateEpoch = in.Epoch.Unix()
	}
	p.BuildDefinition.ResolvedDependencies = dependencies(in)
	// The same inputs are the same invocation: a rebuild proves itself equal.
	inputs, err := json.Marshal(p.BuildDefinition)
	if err != nil {
		return nil, fmt.Errorf("write provenance: %w", err)
	}
	p.RunDetails.Metadata.InvocationID = spec.DigestOf(inputs)
	return json.Marshal(p)
}

func dependencies(in Input) []dependency {
	var list []dependency
	if in.Base != nil {
		_, digest, _ := strings.Cut(in.Base.Reference, "@")
		list = append(list, dependency{
			Name: "base image", URI: baseURI(in.Base.Reference), Digest: sha256(digest),
			Annotations: map[string]string{"signed-by": strings.Join(in.Base.SignedBy, ", ")},
		})
	}
	for _, s := range in.Lock.Suites {
		list = append(list, dependency{
			Name: "InRelease of " + s.Suite, Digest: sha256(s.InRelease),
			Annotations: map[string]string{"date": s.Date.UTC().Format(time.RFC3339), "keys": strings.Join(s.Keys, " ")},
		})
	}
	release, seen := spec.Releases[in.Definition.Debian.Suite], map[string]bool{}
	for _, platform := range in.Platforms {
		for _, pkg := range in.Lock.Platforms[platform.String()] {
			if !seen[pkg.SHA256] {
				seen[pkg.SHA256] = true
				entry := dependency{Name: pkg.Name, URI: sbom.DebPURL(pkg, release), Digest: sha256(pkg.SHA256)}
				if pkg.Archive == spec.Local {
					entry.Annotations = map[string]string{"file": pkg.Path}
				}
				list = append(list, entry)
			}
		}
	}
	names := make([]string, 0, len(in.Programs))
	for name := range in.Programs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		list = append(list, dependency{Name: name, Digest: sha256(in.Programs[name])})
	}
	return list
}

// baseURI names an image in a registry by where it is, and one in a directory,
// which is nowhere for others, by what it is.
func baseURI(reference string) string {
	if strings.HasPrefix(reference, "oci:") {
		return sbom.OCIPURL(reference)
	}
	return "oci://" + reference
}

func sha256(digest string) map[string]string {
	return map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}
}
