package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

// probeSegment adds the probe. Its date is always the same, so that layers begin
// alike and what they begin with need not be hashed for each.
func probeSegment(ctx context.Context, p *spec.Probe, o Options, platform spec.Platform) (*segment, []sbom.Component, error) {
	name := probeProgram(p, platform)
	prog, err := payload.Lookup(name, platform)
	if err != nil {
		return nil, nil, err
	}
	entry := rootfs.Entry{Path: rootfs.Canonical(strings.TrimPrefix(p.Path, "/"), rootfs.File), Mode: 0o555}
	key := cache.Key("probe", transformVersion, o.by.encoder, string(prog.SHA256), entry.Path, fmt.Sprint(p.Remote))
	s, err := cachedSegment(ctx, o, key, func(w *segmentWriter) (*segment, error) {
		if p.Remote || o.by.name != "gzip" {
			return probeInMemory(w, name, platform, entry, p.Remote)
		}
		program, err := payload.Open(name, platform)
		if err != nil {
			return nil, err
		}
		entry.Size, entry.SHA256 = program.Size, string(program.SHA256)
		s, err := rootfs.WriteFile(w, "probe", entry, func() error { return w.zip.program(program.Blocks, program.Unpack) })
		return &segment{Segment: s, Leads: true, start: program.Start}, err
	})
	if err != nil {
		return nil, nil, err
	}
	return s, withParts(prog, sbom.Component{
		Name: "hardstand-probe", SHA256: s.Entries[0].SHA256, Note: "health checker at " + p.Path,
		PURL: sbom.GoPURL("github.com/hardstand/hardstand", prog.Version) + "#probe",
	}), nil
}

// readAhead reads the programs that the image will get, while its packages keep
// less than all processors busy. Whoever needs them has the errors too.
func readAhead(d *spec.Definition, p spec.Platform) {
	if d.Probe != nil {
		_, _ = payload.Open(probeProgram(d.Probe, p), p)
	}
	if d.Canary != nil && len(d.Canary.Decoys) > 0 {
		_, _ = payload.Kept(decoyProgram(d.Canary), p)
	}
}

func probeProgram(p *spec.Probe, platform spec.Platform) string {
	if p.TLS {
		return payload.Probe
	}
	return payload.Choose(payload.ProbePlain, platform)
}

// probeInMemory writes a probe that is patched, or compressed otherwise than the
// embedded one.
func probeInMemory(w *segmentWriter, name string, platform spec.Platform, entry rootfs.Entry, remote bool) (*segment, error) {
	program, err := payload.Read(name, platform)
	if err != nil {
		return nil, err
	}
	w.zip.know(program)
	data := program.Data
	if remote {
		if data, err = allowRemote(data); err != nil {
			return nil, err
		}
	}
	s, err := rootfs.WriteSegment(w, "probe", rootfs.Contents([]rootfs.Content{{Entry: entry, Data: data}}), rootfs.Rules{Began: w.zip.began})
	return &segment{Segment: s, Leads: true}, err
}

// withParts completes what is said of an embedded program, and adds what it was
// compiled with.
func withParts(prog payload.Program, c sbom.Component) []sbom.Component {
	c.Version, c.Supplier, c.License = prog.Version, "hardstand", "Apache-2.0"
	list := []sbom.Component{c}
	if prog.Go != "" {
		list = append(list, sbom.GoModule(c.Name, "stdlib", prog.Go))
	}
	for _, m := range prog.Modules {
		list = append(list, sbom.GoModule(c.Name, m.Path, m.Version))
	}
	return list
}

// allowRemote changes the probe's baked-in policy.
func allowRemote(program []byte) ([]byte, error) {
	const tag, size = "hardstand:probe-policy:v1:", 16
	i := strings.Index(string(program), tag)
	if i < 0 || i+len(tag)+size > len(program) || strings.Contains(string(program[i+1:]), tag) {
		return nil, errors.New("the probe has no policy block, or several")
	}
	out := slices.Clone(program)
	value := out[i+len(tag):][:size]
	clear(value)
	copy(value, "remote")
	return out, nil
}

// configuration is what every image has beyond its packages, except a bare one.
func configuration(d *spec.Definition, img *Image) []rootfs.Content {
	if d.Bare {
		return links(d)
	}
	files := slices.Concat(img.base.missing(accounts()), img.Tree.MissingAliases(), compatible(d))
	if d.Compat != "" {
		return append(files, links(d)...)
	}
	_, _, has := img.Tree.Lookup("usr/lib/os-release")
	if _, _, linked := img.Tree.Lookup("etc/os-release"); !has && !linked {
		files = append(files, osRelease(d.Debian.Suite)...)
	}
	return append(files, links(d)...)
}

// accounts are the users, groups and homes of every image.
func accounts() []rootfs.Content {
	file := func(name, text string) rootfs.Content {
		return rootfs.Content{Entry: rootfs.Entry{Path: name, Mode: 0o644}, Data: []byte(text)}
	}
	home := func(name string, mode uint32, id int) rootfs.Content {
		return rootfs.Content{Entry: rootfs.Entry{Path: name, Type: rootfs.Dir, Mode: mode, UID: id, GID: id}}
	}
	return []rootfs.Content{
		file("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\n"+
			"nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"+
			"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"),
		file("etc/group", "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n"),
		file("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"+
			"services: files\nprotocols: files\nethers: files\nrpc: files\n"),
		home("home", 0o755, 0),
		home("home/nonroot", 0o700, 65532),
		home("root", 0o700, 0),
		{Entry: rootfs.Entry{Path: "tmp", Type: rootfs.Dir, Mode: 0o1777}},
	}
}

// osRelease stands in where no package brings os-release(5).
func osRelease(suite string) []rootfs.Content {
	release := spec.Releases[suite]
	text := fmt.Sprintf("PRETTY_NAME=\"Debian GNU/Linux %[1]s (%[2]s)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"%[1]s\"\n"+
		"VERSION=\"%[1]s (%[2]s)\"\nVERSION_CODENAME=%[2]s\nID=debian\n", release, suite)
	return []rootfs.Content{
		{Entry: rootfs.Entry{Path: "usr/lib/os-release", Mode: 0o644}, Data: []byte(text)},
		{Entry: rootfs.Entry{Path: "etc/os-release", Type: rootfs.Symlink, Mode: 0o777, Link: "../usr/lib/os-release"}},
	}
}
