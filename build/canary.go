package build

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/decoy"
	"github.com/hardstand/hardstand/canary/token"
)

// Register is what was planted in an image. It never belongs in the image.
type Register struct {
	Build  string          `json:"build"`
	Decoys *decoy.Register `json:"decoys,omitempty"`
	Tokens *token.Register `json:"tokens,omitempty"`
}

// canaryGroup makes the layer of decoys and tokens. It is the top one and the
// only one that depends on the canary's master secret, which is part of the
// key that it is cached under.
func canaryGroup(ctx context.Context, d *spec.Definition, o Options, img *Image, below []group, newest int64) (group, []sbom.Component, error) {
	if o.Canary.IsZero() {
		return group{}, nil, errors.New("the canary master secret is missing; hardstand canary keygen makes one")
	}
	prog, err := payload.Lookup(decoyProgram(d.Canary), img.Platform)
	if err != nil {
		return group{}, nil, err
	}
	id, err := buildID(d, img, prog)
	if err != nil {
		return group{}, nil, err
	}
	secret := hex.EncodeToString(o.Canary.Derive("cache", 32, id))
	key := cache.Key("canary", transformVersion, o.by.encoder, secret, shape(below), fmt.Sprint(newest))
	s, err := cachedSegment(ctx, o, key, func(w *segmentWriter) (*segment, error) {
		files, reg, err := plant(d, o, img, id, newest, w.zip.know)
		if err != nil {
			return nil, err
		}
		s, err := rootfs.WriteSegment(w, "tools", rootfs.Contents(files), rootfs.Rules{Began: w.zip.began})
		return &segment{Segment: s, Register: reg}, err
	})
	if err != nil {
		return group{}, nil, err
	}
	if err := img.Tree.Add(s.Segment); err != nil {
		return group{}, nil, err
	}
	img.Register = s.Register
	return group{kind: decoyKind, note: "application tools", segments: []*segment{s}}, withParts(prog, sbom.Component{
		Name: "hardstand-tools", SHA256: s.Entries[0].SHA256, PURL: sbom.GoPURL("github.com/hardstand/hardstand", prog.Version),
	}), nil
}

// decoyProgram is the smaller program where there is nobody to report to.
func decoyProgram(c *spec.Canary) string {
	if c.Collector == "" && c.Zone == "" {
		return payload.DecoyPlain
	}
	return payload.Decoy
}

func guardProgram(c *spec.Canary) string {
	if c.Collector == "" {
		return payload.GuardPlain
	}
	return payload.Guard
}

// guard returns what to plant of the guard, nil for none. It watches the tokens
// that are no pipes.
func guard(d *spec.Definition, p spec.Platform, tokens *token.Register, pipes []decoy.Pipe, know func(*payload.Unpacked)) (*decoy.Guard, error) {
	g := d.Canary.Guard
	if g == nil {
		return nil, nil
	}
	program, err := payload.Kept(guardProgram(d.Canary), p)
	if err != nil {
		return nil, err
	}
	know(program)
	watched := slices.Clone(g.Watch)
	if tokens != nil {
		for _, t := range tokens.Tokens {
			if !slices.Contains(g.Pipes, t.Kind) {
				watched = append(watched, t.Paths...)
			}
		}
	}
	return &decoy.Guard{Binary: program.Data, Path: g.Path, Allowed: g.Allow, Deny: g.Deny, Watched: watched, Pipes: pipes}, nil
}

// entrypoint is what the image starts: the definition's, below the guard if
// there is one.
func entrypoint(d *spec.Definition) []string {
	if d.Canary == nil || d.Canary.Guard == nil {
		return d.Entrypoint
	}
	return append([]string{d.Canary.Guard.Path}, d.Entrypoint...)
}

// plant makes the files of decoys and tokens. A token whose kind the guard
// serves as a named pipe is one. know is told of the programs in them.
func plant(d *spec.Definition, o Options, img *Image, id string, newest int64, know func(*payload.Unpacked)) ([]rootfs.Content, *Register, error) {
	reg := &Register{Build: id}
	var tokens []rootfs.Content
	var pipes []decoy.Pipe
	var err error
	if len(d.Canary.Tokens) > 0 {
		if tokens, pipes, reg.Tokens, err = plantTokens(d, o, img, id, newest); err != nil {
			return nil, nil, err
		}
	}
	if len(d.Canary.Decoys) == 0 {
		return tokens, reg, nil
	}
	program, err := payload.Kept(decoyProgram(d.Canary), img.Platform)
	if err != nil {
		return nil, nil, err
	}
	know(program)
	g, err := guard(d, img.Platform, reg.Tokens, pipes, know)
	if err != nil {
		return nil, nil, err
	}
	r, err := decoy.Emit(decoy.Options{
		Binary: program.Data, Cleaned: true, Arch: img.Platform.Arch, Master: o.Canary, BuildID: id, Image: d.Name,
		Tier: d.Canary.Tier, Pad: d.Canary.Pad, Decoys: decoys(d.Canary), Each: settings(d.Canary), Exclude: exclude(d), Shadowed: img.shadowed, Entrypoints: entrypoints(d), Guard: g,
		OnTrip: d.Canary.OnTrip, Collector: d.Canary.Collector, CA: []byte(d.Canary.CA), Zone: d.Canary.Zone,
	})
	if err != nil {
		return nil, nil, err
	}
	reg.Decoys = &r.Register
	var files []rootfs.Content
	for _, f := range r.Files {
		c := rootfs.Content{Entry: rootfs.Entry{Path: relative(f.Path), Mode: uint32(f.Mode.Perm()), ModTime: newest, SHA256: f.SHA256}, Data: f.Content}
		if f.LinkTo != "" {
			c.Type, c.Link = rootfs.Hardlink, relative(f.LinkTo)
		}
		if f.Mode&fs.ModeNamedPipe == 0 { // the pipes are among the tokens
			files = append(files, c)
		}
	}
	return append(files, tokens...), reg, nil
}

func plantTokens(d *spec.Definition, o Options, img *Image, id string, newest int64) ([]rootfs.Content, []decoy.Pipe, *token.Register, error) {
	user := img.userID(d)
	home := map[string]string{"root": "/root"}[d.Accounts.RunAs]
	kinds := d.Canary.Tokens
	if slices.Contains(kinds, "default") {
		kinds = nil
	}
	r, err := token.Make(token.Options{
		Master: o.Canary, BuildID: id, Endpoint: d.Canary.Collector, CA: []byte(d.Canary.CA), Kinds: kinds, Home: home,
		Date: time.Unix(newest, 0).UTC(), Shadowed: img.shadowed, Owner: d.Canary.Owner, Route: d.Canary.Route,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	piped := map[string]bool{}
	for _, t := range r.Register.Tokens {
		for _, p := range t.Paths {
			piped[p] = d.Canary.Guard != nil && slices.Contains(d.Canary.Guard.Pipes, t.Kind)
		}
	}
	var files []rootfs.Content
	var pipes []decoy.Pipe
	made := map[string]bool{}
	for _, f := range r.Files {
		// A directory such as .aws belongs to whoever owns the file in it.
		if dir := path.Dir(relative(f.Path)); !made[dir] {
			made[dir] = true
			if _, _, exists := img.Tree.Lookup(dir); !exists {
				files = append(files, rootfs.Content{Entry: rootfs.Entry{Path: dir, Type: rootfs.Dir, Mode: 0o700, UID: user, GID: user, ModTime: newest}})
			}
		}
		c := rootfs.Content{
			Entry: rootfs.Entry{Path: relative(f.Path), Mode: uint32(f.Mode.Perm()), UID: user, GID: user, ModTime: f.ModTime.Unix()}, Data: f.Content,
		}
		if piped[f.Path] {
			pipes = append(pipes, decoy.Pipe{Path: f.Path, Content: f.Content})
			c.Type, c.Data = rootfs.Fifo, nil
		}
		files = append(files, c)
	}
	return files, pipes, &r.Register, nil
}

func relative(p string) string {
	return rootfs.Canonical(strings.TrimPrefix(p, "/"), rootfs.File)
}

// shape stands for what decoys must not shadow, beside what the build's id
// says: the paths below them. Of an application, which changes often, it is its
// paths; of all else what the segments were made of.
func shape(below []group) string {
	var parts []string
	for _, g := range below {
		for _, s := range g.segments {
			if g.kind != appKind {
				parts = append(parts, string(s.key))
				continue
			}
			for _, e := range s.Entries {
				parts = append(parts, e.Path, e.Link)
			}
		}
	}
	return string(cache.Key(parts...))
}

// buildID is what alarms call the image, which cannot contain its own digest.
func buildID(d *spec.Definition, img *Image, prog payload.Program) (string, error) {
	parts := []string{"build-id", decoy.Version(), string(d.Canonical()), img.Platform.String(), string(prog.SHA256)}
	if d.Canary.Guard != nil {
		g, err := payload.Lookup(guardProgram(d.Canary), img.Platform)
		if err != nil {
			return "", err
		}
		parts = append(parts, string(g.SHA256))
	}
	for _, p := range img.Packages {
		parts = append(parts, p.SHA256)
	}
	return string(cache.Key(parts...)[:24]), nil
}

func decoys(c *spec.Canary) []decoy.Decoy {
	if len(c.Decoys) == 1 && c.Decoys[0] == "default" {
		return nil // lets Emit leave out what the image ships
	}
	var list []decoy.Decoy
	for _, name := range c.Decoys {
		if name == "default" {
			list = append(list, decoy.Default()...)
			continue
		}
		list = append(list, decoy.Decoy{Name: name})
	}
	return list
}

func settings(c *spec.Canary) map[string]decoy.Decoy {
	m := map[string]decoy.Decoy{}
	for name, e := range c.Each {
		m[name] = decoy.Decoy{Path: e.Path, Mode: e.Mode, OnTrip: e.OnTrip}
	}
	return m
}

// exclude leaves out decoys that stand where another project's images promise
// that nothing is.
func exclude(d *spec.Definition) []string {
	if d.Compat == "" {
		return d.Canary.Exclude
	}
	return append(slices.Clone(d.Canary.Exclude), "/usr/bin/sh")
}

func (img *Image) shadowed(p string) bool {
	_, ok := img.Tree.Resolve(p)
	return ok
}

func entrypoints(d *spec.Definition) []string {
	var list []string
	for _, argv := range [][]string{d.Entrypoint, d.Cmd} {
		if len(argv) > 0 {
			list = append(list, argv[0])
		}
	}
	if d.Probe != nil {
		list = append(list, d.Probe.Path)
	}
	return list
}
