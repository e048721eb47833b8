// Package register is what the collector knows beforehand: the master secrets
// that alarms are verified with, and which decoys and credential files were
// planted in which image. It reads what `hardstand build` and `hardstand
// canary token` wrote. Nothing in it is secret but the masters, from which
// every other secret is derived when it is needed.
package register

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/decoy"
	planted "github.com/hardstand/hardstand/canary/register"
	"github.com/hardstand/hardstand/canary/token"
)

const (
	maxFile  = planted.MaxFile // bytes
	maxFiles = 100_000
)

// Register is read once and then only read. The zero value knows nothing.
type Register struct {
	masters  []alert.Master
	canaries map[string]*store.Canary
	tokens   map[string][]Token // by kind
	skipped  []string
}

// Token is a planted credential file.
type Token struct {
	Build string
	Kind  string
	token.Credential

	Image, Owner, Route string
}

// Load reads master secrets and registers. Each path is a file or a directory
// whose *.register and *.json files are read. Files of a directory that none of
// the masters opens are another's and left out; see Skipped.
func Load(masters []alert.Master, paths ...string) (*Register, error) {
	r := &Register{masters: masters, canaries: map[string]*store.Canary{}, tokens: map[string][]Token{}}
	if len(masters) == 0 {
		return nil, errors.New("load register: no master secret; `hardstand canary keygen` makes one")
	}
	count := 0
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || file != path && filepath.Ext(file) != ".json" && filepath.Ext(file) != planted.Extension {
				return err
			}
			if count++; count > maxFiles {
				return fmt.Errorf("more than %d files", maxFiles)
			}
			if err := r.load(file); !errors.Is(err, planted.ErrKey) || file == path {
				return err
			}
			r.skipped = append(r.skipped, file)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("load register: %w", err)
		}
	}
	return r, nil
}

func (r *Register) load(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if err := r.Add(text); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// written is every form a register is written in: what `build` saves, with the
// image's digest around it, and what `canary token` saves.
type written struct {
	Digest   string `json:"digest"`
	Register *struct {
		Build  string          `json:"build"`
		Decoys *decoy.Register `json:"decoys"`
		Tokens *token.Register `json:"tokens"`
	} `json:"register"`
	Build   string          `json:"build"`
	Decoys  json.RawMessage `json:"decoys"`
	Tokens  json.RawMessage `json:"tokens"`
	Version int             `json:"version"`
}

// Add reads one register of at most 4 MB, sealed or plain.
func (r *Register) Add(text []byte) error {
	if len(text) > maxFile {
		return fmt.Errorf("parse register: more than %d bytes", maxFile)
	}
	if _, err := planted.Build(text); err == nil {
		return r.addSealed(text)
	}
	var w written
	if err := json.Unmarshal(text, &w); err != nil {
		return fmt.Errorf("parse register: %w", err)
	}
	switch {
	case w.Register != nil:
		return errors.Join(r.addDecoys(w.Register.Build, w.Digest, w.Register.Decoys), r.addTokens(w.Register.Build, w.Register.Tokens))
	case w.Tokens != nil:
		var tokens token.Register
		if err := json.Unmarshal(text, &tokens); err != nil {
			return fmt.Errorf("parse register: %w", err)
		}
		return r.addTokens(w.Build, &tokens)
	case w.Decoys != nil:
		decoys, err := decoy.ParseRegister(text)
		if err != nil {
			return err
		}
		return r.addDecoys(w.Build, "", &decoys)
	}
	return errors.New("parse register: it lists neither decoys nor tokens; is it what `hardstand build` or `hardstand canary token` wrote?")
}

// addSealed reads what `build` and `canary token` keep.
func (r *Register) addSealed(text []byte) error {
	rec, err := planted.Open(text, r.masters...)
	if err != nil {
		return err
	}
	c, err := r.canary(rec.Build)
	if err != nil {
		return err
	}
	if err := errors.Join(r.addDecoys(rec.Build, rec.Digest, rec.Decoys), r.addTokens(rec.Build, rec.Tokens)); err != nil {
		return err
	}
	for _, one := range []struct {
		to   *string
		from string
	}{{&c.Image, rec.Image}, {&c.Digest, rec.Digest}, {&c.Owner, rec.Owner}, {&c.Route, rec.Route}} {
		if one.from != "" {
			*one.to = one.from
		}
	}
	for kind, list := range r.tokens {
		for i := range list {
			if list[i].Build == rec.Build {
				r.tokens[kind][i].Image, r.tokens[kind][i].Owner, r.tokens[kind][i].Route = c.Image, c.Owner, c.Route
			}
		}
	}
	return nil
}

// Skipped lists files that none of the masters opens.
func (r *Register) Skipped() []string { return r.skipped }

func (r *Register) canary(build string) (*store.Canary, error) {
	if err := alert.CheckName(build); err != nil {
		return nil, fmt.Errorf("parse register: build id: %w", err)
	}
	if r.canaries[build] == nil {
		r.canaries[build] = &store.Canary{Build: build}
	}
	return r.canaries[build], nil
}

func (r *Register) addDecoys(build, digest string, d *decoy.Register) error {
	if d == nil {
		return nil
	}
	c, err := r.canary(build)
	if err != nil {
		return err
	}
	c.Image, c.Digest, c.Guard = d.Image, digest, d.Guard != nil
	for _, one := range d.Decoys {
		if !slices.Contains(c.Decoys, one.Name) {
			c.Decoys = append(c.Decoys, one.Name)
		}
	}
	return nil
}

func (r *Register) addTokens(build string, t *token.Register) error {
	if t == nil {
		return nil
	}
	c, err := r.canary(build)
	if err != nil {
		return err
	}
	c.Owner, c.Route = t.Owner, t.Route
	for _, one := range t.Tokens {
		if !slices.Contains(token.Kinds(), one.Kind) {
			return fmt.Errorf("parse register: unknown kind of token %q", one.Kind)
		}
		if slices.Contains(c.Tokens, one.Kind) {
			continue
		}
		credential, ours := r.derive(build, one)
		if !ours {
			return fmt.Errorf("parse register: token %s of build %s was made with another master secret", one.Kind, build)
		}
		c.Tokens = append(c.Tokens, one.Kind)
		r.tokens[one.Kind] = append(r.tokens[one.Kind], Token{Build: build, Kind: one.Kind, Credential: credential,
			Image: c.Image, Owner: c.Owner, Route: c.Route})
	}
	return nil
}

// derive finds the master that a token was made with.
func (r *Register) derive(build string, t token.Registered) (token.Credential, bool) {
	for _, m := range r.masters {
		if c := token.Derive(m, build, t.Kind); c.ID == t.ID {
			return c, true
		}
	}
	return token.Credential{}, false
}

// Masters returns the master secrets.
func (r *Register) Masters() []alert.Master { return r.masters }

// Canaries returns what was planted, by build id.
func (r *Register) Canaries() []store.Canary {
	out := make([]store.Canary, 0, len(r.canaries))
	for _, c := range r.canaries {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b store.Canary) int { return strings.Compare(a.Build, b.Build) })
	return out
}

// Tokens returns the planted credential files of a kind.
func (r *Register) Tokens(kind string) []Token { return r.tokens[kind] }

// Token finds a credential file by its kind and identity.
func (r *Register) Token(kind, id string) (Token, bool) {
	for _, t := range r.tokens[kind] {
		if t.ID == id {
			return t, true
		}
	}
	return Token{}, false
}
