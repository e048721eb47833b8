package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Register is what was planted in an image, as hardstand build writes it. A
// file is a decoy when its path and digest are in it; its name proves nothing.
type Register struct {
	Name    string // of the file it was read from
	Decoys  []Planted
	Tokens  []Token
	Drilled string // RFC 3339; when the tokens were last fired as a test

	files map[string]map[string]bool // digest to paths
}

// Planted is a decoy.
type Planted struct {
	Name, Path, SHA256, Key, Mode string
}

// Token is a credential that raises an alarm.
type Token struct {
	Kind   string   `json:"kind"`
	ID     string   `json:"id"`
	Paths  []string `json:"paths"`
	SHA256 []string `json:"sha256"`
}

// MaxRegister bounds a register, in bytes.
const MaxRegister = 8 << 20

// ParseRegister reads a register. The caller has checked where it comes from.
func ParseRegister(name string, data []byte) (*Register, error) {
	if len(data) > MaxRegister {
		return nil, fmt.Errorf("read decoy register %s: more than %d bytes", name, MaxRegister)
	}
	var in struct {
		Decoys *struct {
			Program  string `json:"program"`
			Marker   string `json:"marker"`
			MarkerID string `json:"markerSha256"`
			Guard    *struct{ Path, SHA256 string }
			Decoys   []struct{ Name, Path, SHA256, Key, Mode string }
		} `json:"decoys"`
		Tokens *struct {
			LastDrill string  `json:"lastDrill"`
			Tokens    []Token `json:"tokens"`
		} `json:"tokens"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("read decoy register %s: %w", name, err)
	}
	if in.Decoys == nil && in.Tokens == nil {
		return nil, fmt.Errorf("read decoy register %s: %w", name, errors.New("it lists neither decoys nor tokens"))
	}
	r := &Register{Name: name, files: map[string]map[string]bool{}}
	if d := in.Decoys; d != nil {
		for _, p := range d.Decoys {
			r.Decoys = append(r.Decoys, Planted(p))
			r.know(p.Path, p.SHA256)
			r.know(p.Path, d.Program) // a decoy may be another name of the program
		}
		r.know(d.Marker, d.MarkerID)
		if d.Guard != nil {
			r.know(d.Guard.Path, d.Guard.SHA256)
		}
	}
	if in.Tokens != nil {
		r.Tokens, r.Drilled = in.Tokens.Tokens, in.Tokens.LastDrill
		for _, t := range r.Tokens {
			for i := range min(len(t.Paths), len(t.SHA256)) {
				r.know(t.Paths[i], t.SHA256[i])
			}
		}
	}
	return r, nil
}

func (r *Register) know(path, sha256 string) {
	if path == "" || len(sha256) != 64 {
		return
	}
	sha256 = strings.ToLower(sha256)
	if r.files[sha256] == nil {
		r.files[sha256] = map[string]bool{}
	}
	r.files[sha256][strings.TrimPrefix(path, "/")] = true
}

// decoy reports whether the register has the file, by digest and path.
func (s *subject) decoy(e *entry) bool {
	return s.opts.Register != nil && e.sha256 != "" && s.opts.Register.files[e.sha256][e.path]
}
