package builder

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/registry"
)

const (
	maxPredicate = 64 << 20 // bytes of a predicate file
	maxClaims    = 1 << 30  // bytes of a layout's claims file
)

// readClaims reads TYPE[@PLATFORM]=FILE arguments. platforms is asked only if an
// argument names one.
func readClaims(args []string, platforms func() (map[string]v1.Hash, error)) ([]registry.Attestation, error) {
	var list []registry.Attestation
	for _, arg := range args {
		a, platform, file, err := parseClaim(arg)
		if err != nil {
			return nil, cli.Usagef("--attest %s: %v", arg, err)
		}
		if platform != "" {
			known, err := platforms()
			if err != nil {
				return nil, err
			}
			var ok bool
			if a.Subject, ok = known[platform]; !ok {
				return nil, cli.Usagef("--attest %s: the image has no platform %s", arg, platform)
			}
		}
		if a.Predicate, err = readLimited(file, maxPredicate); err != nil {
			return nil, fmt.Errorf("read attestation: %w", err)
		}
		if err := sign.CheckPredicate(a.PredicateType, a.Predicate); err != nil {
			return nil, fmt.Errorf("read attestation %s: %w", file, err)
		}
		list = append(list, a)
	}
	return list, nil
}

func parseClaim(arg string) (a registry.Attestation, platform, file string, err error) {
	kind, file, ok := strings.Cut(arg, "=")
	if !ok || file == "" {
		return a, "", "", errors.New("want TYPE=FILE or TYPE@PLATFORM=FILE")
	}
	if before, after, ok := strings.Cut(kind, "@"); ok {
		p, err := spec.ParsePlatform(after)
		if err != nil {
			return a, "", "", err
		}
		kind, platform = before, p.String()
	}
	a.PredicateType, err = sign.PredicateType(kind)
	return a, platform, file, err
}

// platformDigests maps OS/ARCH[/VARIANT] to the manifests of an index.
func platformDigests(idx v1.ImageIndex) (map[string]v1.Hash, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	found := map[string]v1.Hash{}
	for _, d := range m.Manifests {
		if d.Platform == nil {
			continue
		}
		p, err := spec.ParsePlatform(strings.TrimSuffix(d.Platform.OS+"/"+d.Platform.Architecture+"/"+d.Platform.Variant, "/"))
		if err != nil {
			continue // not a platform that a claim could name
		}
		found[p.String()] = d.Digest
	}
	return found, nil
}

// prepareLayout takes an image from a layout, with the claims beside it.
func prepareLayout(f *cli.Frame, dir string, idx v1.ImageIndex) (prepared, error) {
	p := prepared{index: idx, version: "0", created: f.Now()}
	m, err := idx.IndexManifest()
	if err != nil {
		return p, fmt.Errorf("read layout %s: %w", dir, err)
	}
	if t, err := time.Parse(time.RFC3339, m.Annotations["org.opencontainers.image.created"]); err == nil {
		p.created = t
	}
	p.attestations, err = loadClaims(dir, idx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Note("%s has no %s, so the image is published without SBOM and provenance", dir, oci.ClaimsFile)
		return p, nil
	case err != nil:
		return p, fmt.Errorf("read attestations of layout %s: %w", dir, err)
	}
	return p, nil
}

// loadClaims reads the statements beside a layout. Each must be about the
// layout's index or one of its manifests, and well formed.
func loadClaims(dir string, idx v1.ImageIndex) ([]registry.Attestation, error) {
	subjects, err := subjectsOf(idx)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(dir, oci.ClaimsFile))
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // opened for reading
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxClaims {
		return nil, errors.Join(fmt.Errorf("%s is no file of at most %s", oci.ClaimsFile, cli.Size(maxClaims)), err)
	}
	var list []registry.Attestation
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxPredicate+4096)
	for lines.Scan() {
		a, err := parseStatement(lines.Bytes(), subjects)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(list)+1, err)
		}
		list = append(list, a)
	}
	return list, lines.Err()
}

func subjectsOf(idx v1.ImageIndex) ([]v1.Hash, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	own, err := idx.Digest()
	if err != nil {
		return nil, err
	}
	list := []v1.Hash{own}
	for _, d := range m.Manifests {
		list = append(list, d.Digest)
	}
	return list, nil
}

func parseStatement(line []byte, subjects []v1.Hash) (registry.Attestation, error) {
	var st sign.Statement
	if err := json.Unmarshal(line, &st); err != nil {
		return registry.Attestation{}, err
	}
	if len(st.Subject) != 1 {
		return registry.Attestation{}, fmt.Errorf("it has %d subjects, want one", len(st.Subject))
	}
	about := v1.Hash{Algorithm: "sha256", Hex: st.Subject[0].Digest["sha256"]}
	if !slices.Contains(subjects, about) {
		return registry.Attestation{}, fmt.Errorf("it is about %s, which is not in the layout: build it again", about)
	}
	kind, err := sign.PredicateType(st.PredicateType)
	if err != nil {
		return registry.Attestation{}, err
	}
	if err := sign.CheckPredicate(kind, st.Predicate); err != nil {
		return registry.Attestation{}, fmt.Errorf("%s: %w", kind, err)
	}
	return registry.Attestation{Subject: about, PredicateType: kind, Predicate: st.Predicate}, nil
}
