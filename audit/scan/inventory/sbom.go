package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// spdx is what is read of SPDX 2.2 and 2.3.
type spdx struct {
	Version  string `json:"spdxVersion"`
	Packages []struct {
		Name string `json:"name"`
		Refs []struct {
			Type    string `json:"referenceType"`
			Locator string `json:"referenceLocator"`
		} `json:"externalRefs"`
	} `json:"packages"`
}

// cyclonedx is what is read of CycloneDX 1.2 to 1.7.
type cyclonedx struct {
	Format     string      `json:"bomFormat"`
	Components []component `json:"components"`
}

type component struct {
	Type       string      `json:"type"`
	Name       string      `json:"name"`
	PURL       string      `json:"purl"`
	Components []component `json:"components"`
}

// maxNesting bounds how deep components lie in components.
const maxNesting = 32

// IsSBOM reports whether a file looks like a bill of materials, by its first
// bytes.
func IsSBOM(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) &&
		(bytes.Contains(head, []byte(`"spdxVersion"`)) || bytes.Contains(head, []byte(`"bomFormat"`)))
}

// FromSBOM lists a bill of materials, SPDX or CycloneDX as JSON. Only
// components with a package URL can be judged.
func FromSBOM(target string, data []byte) (*Inventory, error) {
	if len(data) > MaxSBOM {
		return nil, fmt.Errorf("read SBOM %s: more than %d bytes", target, MaxSBOM)
	}
	var s spdx
	var c cyclonedx
	if err := errors.Join(json.Unmarshal(data, &s), json.Unmarshal(data, &c)); err != nil {
		return nil, fmt.Errorf("read SBOM %s: %w", target, err)
	}
	v := &Inventory{Target: target, Kind: "sbom"}
	switch {
	case s.Version != "":
		for _, p := range s.Packages {
			found := false
			for _, ref := range p.Refs {
				if ref.Type == "purl" {
					found = true
					v.addPURL(ref.Locator)
				}
			}
			if !found {
				v.note("%s: the package %.100q has no package URL and is not judged", target, p.Name)
			}
		}
	case c.Format == "CycloneDX":
		if err := v.components(c.Components, 0); err != nil {
			return nil, fmt.Errorf("read SBOM %s: %w", target, err)
		}
	default:
		return nil, fmt.Errorf("read SBOM %s: it is neither SPDX nor CycloneDX in JSON", target)
	}
	return v, v.finish()
}

func (v *Inventory) components(list []component, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("components lie more than %d deep", maxNesting)
	}
	for _, c := range list {
		switch {
		case c.PURL != "":
			v.addPURL(c.PURL)
		case c.Type == "library" || c.Type == "framework":
			v.note("%s: the component %.100q has no package URL and is not judged", v.Target, c.Name)
		}
		if err := v.components(c.Components, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (v *Inventory) addPURL(text string) {
	p, err := FromPURL(text)
	switch {
	case errors.Is(err, ErrNoPackage):
	case errors.Is(err, ErrNoVersion):
		v.note("%v", err)
	case err != nil:
		v.problem("%v", err)
	default:
		p.Path = v.Target
		v.Packages = append(v.Packages, p)
	}
}
