package build

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
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
func canaryGroup(ctx context.Context, d *spec.Definition, o Options, img *Image, newest int64) (group, sbom.Component, error) {
	if o.Canary.IsZero() {
		return group{}, sbom.Component{}, errors.New("the canary master secret is missing; hardstand canary keygen makes one")
	}
	prog, err := payload.Lookup(decoyProgram(d.Canary), img.Platform)
	if err != nil {
		return group{}, sbom.Component{}, err
	}
	id := buildID(d, img, prog)
	secret := hex.EncodeToString(o.Canary.Derive("cache", 32, id))
	key := cache.Key("canary", transformVersion, Encoder, secret, img.shape(), fmt.Sprint(newest))
	s, err := cachedSegment(ctx, o.Cache, key, func(w io.Writer) (*segment, error) {
		files, reg, err := plant(d, o, img, id, newest)
		if err != nil {
			return nil, err
		}
		s, err := rootfs.WriteSegment(w, "tools", rootfs.Contents(files), rootfs.Rules{})
		return &segment{Segment: s, Register: reg}, err
	})
	if err != nil {
		return group{}, sbom.Component{}, err
	}
	if err := img.Tree.Add(s.Segment); err != nil {
		return group{}, sbom.Component{}, err
	}
	img.Register = s.Register
	return group{note: "application tools", segments: []*segment{s}}, sbom.Component{
		Name: "hardstand-tools", Version: prog.Version, SHA256: s.Entries[0].SHA256, License: "Apache-2.0",
		PURL: "pkg:golang/github.com/hardstand/hardstand@" + prog.Version,
	}, nil
}

// decoyProgram is the smaller program where there is nobody to report to.
func decoyProgram(c *spec.Canary) string {
	if c.Collector == "" {
		return payload.DecoyPlain
	}
	return payload.Decoy
}

// plant makes the files of decoys and tokens.
func plant(d *spec.Definition, o Options, img *Image, id string, newest int64) ([]rootfs.Content, *Register, error) {
	reg := &Register{Build: id}
	var files []rootfs.Content
	if len(d.Canary.Decoys) > 0 {
		binary, err := payload.Read(decoyProgram(d.Canary), img.Platform)
		if err != nil {
			return nil, nil, err
		}
		r, err := decoy.Emit(decoy.Options{
			Binary: binary, Arch: img.Platform.Arch, Master: o.Canary, BuildID: id, Image: d.Name,
			Decoys: decoys(d.Canary), Shadowed: img.shadowed, Entrypoints: entrypoints(d),
			OnTrip: d.Canary.OnTrip, Collector: d.Canary.Collector,
		})
		if err != nil {
			return nil, nil, err
		}
		reg.Decoys = &r.Register
		for _, f := range r.Files {
			c := rootfs.Content{Entry: rootfs.Entry{Path: relative(f.Path), Mode: uint32(f.Mode.Perm()), ModTime: newest}, Data: f.Content}
			if f.LinkTo != "" {
				c.Type, c.Link = rootfs.Hardlink, relative(f.LinkTo)
			}
			files = append(files, c)
		}
	}
	if len(d.Canary.Tokens) > 0 {
		more, tokens, err := plantTokens(d, o, img, id, newest)
		if err != nil {
			return nil, nil, err
		}
		reg.Tokens, files = tokens, append(files, more...)
	}
	return files, reg, nil
}

func plantTokens(d *spec.Definition, o Options, img *Image, id string, newest int64) ([]rootfs.Content, *token.Register, error) {
	user := spec.Users[d.Accounts.RunAs]
	home := map[string]string{"root": "/root"}[d.Accounts.RunAs]
	kinds := d.Canary.Tokens
	if len(kinds) == 1 && kinds[0] == "default" {
		kinds = nil
	}
	r, err := token.Make(token.Options{
		Master: o.Canary, BuildID: id, Endpoint: d.Canary.Collector, Kinds: kinds, Home: home,
		Date: time.Unix(newest, 0).UTC(), Shadowed: img.shadowed,
	})
	if err != nil {
		return nil, nil, err
	}
	var files []rootfs.Content
	made := map[string]bool{}
	for _, f := range r.Files {
		// A directory such as .aws belongs to whoever owns the file in it.
		if dir := path.Dir(relative(f.Path)); !made[dir] {
			made[dir] = true
			if _, _, exists := img.Tree.Lookup(dir); !exists {
				files = append(files, rootfs.Content{Entry: rootfs.Entry{Path: dir, Type: rootfs.Dir, Mode: 0o700, UID: user, GID: user, ModTime: newest}})
			}
		}
		files = append(files, rootfs.Content{
			Entry: rootfs.Entry{Path: relative(f.Path), Mode: uint32(f.Mode.Perm()), UID: user, GID: user, ModTime: f.ModTime.Unix()}, Data: f.Content,
		})
	}
	return files, &r.Register, nil
}

func relative(p string) string {
	return rootfs.Canonical(strings.TrimPrefix(p, "/"), rootfs.File)
}

// shape names the paths of the tree: what decoys must not shadow.
func (img *Image) shape() string {
	var parts []string
	for _, e := range img.Tree.Entries() {
		parts = append(parts, e.Path, e.Link)
	}
	return string(cache.Key(parts...))
}

// buildID is what alarms call the image, which cannot contain its own digest.
func buildID(d *spec.Definition, img *Image, prog payload.Program) string {
	parts := []string{"build-id", decoy.Version(), string(d.Canonical()), img.Platform.String(), string(prog.SHA256)}
	for _, p := range img.Packages {
		parts = append(parts, p.SHA256)
	}
	return string(cache.Key(parts...)[:24])
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
