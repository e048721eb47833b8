// Package spec holds what an image is: its definition, written by a person in
// YAML, and its lock, written by hardstand in JSON. It parses, validates and
// gives each a canonical form. An unknown key, a wrong type, a duplicate or a
// contradiction is an error that says file, line and column.
package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Definition describes an image. Every field has a usable zero value but Name
// and Packages.
type Definition struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Debian      Debian `json:"debian"`
	// From is the image to start from, or nil.
	From     *From    `json:"from,omitempty"`
	Packages []string `json:"packages"` // names or relations such as "libssl3t64 (>= 3.5)"
	Deny     []string `json:"deny,omitempty"`
	// Added are the packages that a variant has and the plain image has not. They
	// get a layer of their own if the budget has one, so that both share the rest.
	Added []string `json:"added,omitempty"`
	// IgnoreDepends names packages that other packages depend on and that the
	// image does without, as dpkg's --ignore-depends.
	IgnoreDepends []string          `json:"ignore-depends,omitempty"`
	Drop          []string          `json:"drop,omitempty"` // path patterns; "**" crosses directories
	Accounts      Accounts          `json:"accounts"`
	Probe         *Probe            `json:"probe,omitempty"`
	Canary        *Canary           `json:"canary,omitempty"`
	Platforms     []Platform        `json:"platforms"`
	Environment   map[string]string `json:"environment,omitempty"`
	Entrypoint    []string          `json:"entrypoint,omitempty"`
	Cmd           []string          `json:"cmd,omitempty"`
	WorkDir       string            `json:"workdir,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
	// Links are symlinks, by their absolute paths.
	Links map[string]string `json:"links,omitempty"`
	// Compat makes the image match another project's where the two differ:
	// "distroless" or nothing.
	Compat string `json:"compat,omitempty"`
	// Bare leaves out accounts, links and configuration: for images that hold
	// only a program to copy from.
	Bare bool `json:"bare,omitempty"`
	// Exempt maps a gate of GateNames to the reason why the image may fail it.
	Exempt map[string]string `json:"exempt,omitempty"`
	// Licenses is which licences the packages may have.
	Licenses *Licenses `json:"licenses,omitempty"`
	// Fresh is how long an update of a package may be out in the security suite
	// before the image is refused; nil does not ask.
	Fresh *Duration `json:"fresh,omitempty"`

	// Debs are packages that are files beside the definition.
	Debs []Deb `json:"debs,omitempty"`
	// Files are put into the image from beside the definition.
	Files []File `json:"files,omitempty"`
	// Layers is the most layers that the image has, or 0 for the default.
	Layers int `json:"layers,omitempty"`
	// Compression of layers is "gzip", which "" means too, or "zstd".
	Compression string `json:"compression,omitempty"`

	// Shared holds the entries of IgnoreDepends and Drop that come from an
	// included definition, which is written for more than one image.
	Shared map[string]bool `json:"-"`
}

// File is a file of one's own in the image.
type File struct {
	Path    string `json:"path"`             // absolute, in the image
	Source  string `json:"source"`           // relative to the definition
	SHA256  string `json:"sha256,omitempty"` // of the content, hexadecimal
	Mode    uint32 `json:"mode"`             // permission bits, 0644 if not given
	Owner   string `json:"owner"`            // root, nobody or nonroot
	License string `json:"license,omitempty"`
}

// MaxLayers is the largest budget of layers.
const MaxLayers = 100

// Licenses is a policy over the short names of machine-readable copyright
// files, such as GPL-3+, with "*" for any characters. A name in Deny is
// refused; with Allow, every name must be in it. What a package does not say
// in machine-readable form has the name "unknown".
type Licenses struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// GateNames are the gates that a definition may exempt its image from.
var GateNames = []string{"root", "set-id", "shell", "world-writable"}

// Own reports whether an entry of IgnoreDepends or Drop was written for this
// image alone, and so should have an effect on it.
func (d *Definition) Own(entry string) bool { return !d.Shared[entry] }

// Debian says which archive state an image is made of.
type Debian struct {
	Suite    string    `json:"suite"` // codename
	Snapshot time.Time `json:"snapshot,omitzero"`
}

// Accounts is who exists in the image and who its processes run as.
type Accounts struct {
	RunAs string `json:"run-as"` // root, nobody or nonroot
}

// Probe is the health checker in the image.
type Probe struct {
	Path   string   `json:"path"`
	TLS    bool     `json:"tls"`
	Remote bool     `json:"remote,omitempty"` // may check other hosts
	Args   []string `json:"args,omitempty"`
	// Times of the HEALTHCHECK; zero means Docker's default.
	Interval    Duration `json:"interval,omitzero"`
	Timeout     Duration `json:"timeout,omitzero"`
	StartPeriod Duration `json:"start-period,omitzero"`
	Retries     int      `json:"retries,omitempty"`
}

// Canary is what decoys are in the image.
type Canary struct {
	Decoys []string `json:"decoys"`           // applet names; "default" is the built-in set
	Tokens []string `json:"tokens,omitempty"` // credential files
	OnTrip string   `json:"on-trip"`          // alert, degrade or fall
	// Collector is the https URL that alarms and uses of tokens are sent to.
	// Decoys do without; tokens need it.
	Collector string `json:"collector,omitempty"`
	// CA is the PEM that the collector is verified with, where the image's own
	// bundle does not do.
	CA string `json:"ca,omitempty"`
	// Zone is a DNS zone that the collector answers for.
	Zone string `json:"zone,omitempty"`
	// Tier says which programs are planted: a, b or ab; empty is what the
	// platform has. Pad makes tier A programs at least so many bytes long.
	Tier string `json:"tier,omitempty"`
	Pad  int    `json:"pad,omitempty"`
	// Each changes decoys by name.
	Each map[string]DecoySettings `json:"each,omitempty"`
	// Exclude leaves out decoys by name or absolute path.
	Exclude []string `json:"exclude,omitempty"`
	Guard   *Guard   `json:"guard,omitempty"`
	// Owner answers for what is planted, and Route is where alarms arrive: for
	// the register.
	Owner string `json:"owner,omitempty"`
	Route string `json:"route,omitempty"`
}

// DecoySettings are one decoy's own. An empty field is as for all.
type DecoySettings struct {
	Path   string `json:"path,omitempty"`
	Mode   string `json:"mode,omitempty"` // deny or quiet
	OnTrip string `json:"on-trip,omitempty"`
}

// Guard is the entry point that watches over the application.
type Guard struct {
	Path string `json:"path"`
	// Allow names programs, as absolute paths, that the application may execute
	// unreported. Deny refuses all others.
	Allow []string `json:"allow,omitempty"`
	Deny  bool     `json:"deny,omitempty"`
	// Watch names files and directories whose opening is reported.
	Watch []string `json:"watch,omitempty"`
	// Pipes names kinds of tokens that are named pipes, so that the guard
	// learns who reads them. It implies the tokens.
	Pipes []string `json:"pipes,omitempty"`
}

// Duration is a time span that JSON shows as "30s".
type Duration time.Duration

// MarshalText gives the form that time.ParseDuration reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads the form that time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Platform is an OCI platform, linux only.
type Platform struct{ Arch, Variant string }

// String gives "linux/arm/v7".
func (p Platform) String() string {
	s := "linux/" + p.Arch
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// MarshalText makes a Platform its String in JSON.
func (p Platform) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what String gives.
func (p *Platform) UnmarshalText(text []byte) error {
	var err error
	*p, err = ParsePlatform(string(text))
	return err
}

// debianArchs maps the platforms that Debian has to its architecture names.
var debianArchs = map[Platform]string{
	{"amd64", ""}: "amd64", {"arm64", ""}: "arm64", {"arm", "v7"}: "armhf",
	{"riscv64", ""}: "riscv64", {"ppc64le", ""}: "ppc64el", {"s390x", ""}: "s390x",
}

// DebianArch returns Debian's name for the platform's architecture.
func (p Platform) DebianArch() string { return debianArchs[p] }

// ParsePlatform reads "linux/arm/v7"; "linux/" may be left out, and the
// variant that goes without saying for arm64 is accepted.
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(strings.TrimPrefix(s, "linux/"), "/")
	p := Platform{Arch: parts[0]}
	if len(parts) == 2 && s != "linux/arm64/v8" && s != "arm64/v8" {
		p.Variant = parts[1]
	}
	if len(parts) > 2 || p.DebianArch() == "" {
		known := make([]string, 0, len(debianArchs))
		for k := range debianArchs {
			known = append(known, k.String())
		}
		slices.Sort(known)
		return Platform{}, fmt.Errorf("unknown platform %q: use one of %s", s, strings.Join(known, ", "))
	}
	return p, nil
}

// Releases are the Debian releases that images can be made of, with their
// version numbers.
var Releases = map[string]string{"trixie": "13", "bookworm": "12"}

// Suites returns the suites that an image of a release draws from.
func (d Debian) Suites() []string {
	return []string{d.Suite, d.Suite + "-updates", d.Suite + "-security"}
}

// Users are the accounts of every image, by name.
var Users = map[string]int{"root": 0, "nobody": 65534, "nonroot": 65532}

// Canonical is the definition's one byte form: what its digest is taken of.
func (d *Definition) Canonical() []byte {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // every field can be marshalled
	}
	return b
}

// finish fills in defaults and reports what is contradictory. at locates a
// key in the source.
func (d *Definition) finish(at func(keys ...string) Position) error {
	var errs []error
	fail := func(keys []string, format string, args ...any) {
		errs = append(errs, &Error{at(keys...), fmt.Sprintf(format, args...)})
	}
	if d.Name == "" {
		fail(nil, `"name" is missing`)
	} else if !ValidImageName(d.Name) {
		fail([]string{"name"}, "bad image name %q: use lower-case letters, digits and single '-', '_' or '.' between them", d.Name)
	}
	if len(d.Packages) == 0 && len(d.Debs) == 0 && !d.Bare && d.From == nil {
		fail(nil, `"packages" is missing`)
	}
	d.finishPolicy(fail)
	d.finishFrom(fail)
	if d.Debian.Suite == "" {
		d.Debian.Suite = "trixie"
	} else if Releases[d.Debian.Suite] == "" {
		fail([]string{"debian", "suite"}, "unknown suite %q: use one of %s", d.Debian.Suite, strings.Join(slices.Sorted(maps.Keys(Releases)), ", "))
	}
	for _, p := range d.Packages {
		name, _, _ := strings.Cut(p, " ")
		if slices.Contains(d.Deny, name) {
			fail([]string{"packages"}, "package %q is both wanted and denied", name)
		}
		if slices.Contains(d.IgnoreDepends, name) {
			fail([]string{"ignore-depends"}, "package %q is both wanted and ignored", name)
		}
	}
	if d.Accounts.RunAs == "" {
		if d.From == nil { // else it is that image's user
			d.Accounts.RunAs = "nonroot"
		}
	} else if _, ok := Users[d.Accounts.RunAs]; !ok {
		fail([]string{"accounts", "run-as"}, "unknown user %q: use root, nobody or nonroot", d.Accounts.RunAs)
	}
	if len(d.Platforms) == 0 {
		d.Platforms = []Platform{{Arch: "amd64"}, {Arch: "arm64"}}
	}
	if d.WorkDir != "" && !cleanAbs(d.WorkDir) {
		fail([]string{"workdir"}, "%q is not a clean absolute path", d.WorkDir)
	}
	for name, argv := range map[string][]string{"entrypoint": d.Entrypoint, "cmd": d.Cmd} {
		if len(argv) > 0 && argv[0] == "" {
			fail([]string{name}, "the first word is empty")
		}
	}
	for key := range d.Annotations {
		if key == "" {
			fail([]string{"annotations"}, "an annotation has no name")
		}
	}
	for key := range d.Environment {
		if key == "" || strings.ContainsAny(key, "=\x00 \n\t") {
			fail([]string{"environment"}, "bad variable name %q", key)
		}
	}
	for _, pattern := range d.Drop {
		if err := CheckPattern(pattern); err != nil {
			fail([]string{"drop"}, "%v", err)
		}
	}
	d.finishLayers(fail)
	d.finishDebs(fail)
	d.finishProbe(fail)
	d.finishCanary(fail)
	return errors.Join(errs...)
}

func (d *Definition) finishPolicy(fail func([]string, string, ...any)) {
	if d.Compat != "" && d.Compat != "distroless" {
		fail([]string{"compat"}, `unknown profile %q: use distroless`, d.Compat)
	}
	if d.Bare && (d.Compat != "" || len(d.Packages) > 0 || len(d.Debs) > 0) {
		fail([]string{"bare"}, "a bare image has no packages and no profile")
	}
	for p, target := range d.Links {
		if !cleanAbs(p) || target == "" {
			fail([]string{"links", p}, "%q is not a clean absolute path, or leads nowhere", p)
		}
	}
	for gate, reason := range d.Exempt {
		if !slices.Contains(GateNames, gate) {
			fail([]string{"exempt", gate}, "unknown gate %q: use one of %s", gate, strings.Join(GateNames, ", "))
		} else if strings.TrimSpace(reason) == "" {
			fail([]string{"exempt", gate}, "an exemption needs a reason")
		}
	}
	if d.Accounts.RunAs == "root" && d.Exempt["root"] == "" && !d.Bare {
		fail([]string{"accounts", "run-as"}, `running as root needs a reason: write it under "exempt", as {root: "binds port 80"}`)
	}
	if l := d.Licenses; l != nil {
		for _, pattern := range slices.Concat(l.Allow, l.Deny) {
			if _, err := path.Match(pattern, ""); pattern == "" || err != nil {
				fail([]string{"licenses"}, "bad pattern %q", pattern)
			}
		}
	}
}

func (d *Definition) finishLayers(fail func([]string, string, ...any)) {
	if d.Layers < 0 || d.Layers > MaxLayers {
		fail([]string{"layers"}, "%d layers: want 1 to %d", d.Layers, MaxLayers)
	}
	switch d.Compression {
	case "", "zstd":
	case "gzip":
		d.Compression = ""
	default:
		fail([]string{"compression"}, "unknown compression %q: use gzip or zstd", d.Compression)
	}
	seen := map[string]bool{}
	for i := range d.Files {
		f := &d.Files[i]
		if f.Owner == "" {
			f.Owner = "root"
		}
		_, known := Users[f.Owner]
		switch {
		case !cleanAbs(f.Path):
			fail([]string{"files"}, "%q is not a clean absolute path", f.Path)
		case seen[f.Path]:
			fail([]string{"files"}, "%s stands twice", f.Path)
		case f.Source == "":
			fail([]string{"files"}, "%s has no source", f.Path)
		case !known:
			fail([]string{"files"}, "unknown owner %q of %s: use root, nobody or nonroot", f.Owner, f.Path)
		case f.Mode&^0o777 != 0 || f.Mode&0o002 != 0:
			fail([]string{"files"}, "mode %04o of %s: no set-id and sticky bits, and not writable by everyone", f.Mode, f.Path)
		case f.SHA256 != "" && !validSHA256(f.SHA256):
			fail([]string{"files"}, "bad SHA-256 %q of %s", f.SHA256, f.Path)
		}
		seen[f.Path] = true
	}
}

func (d *Definition) finishProbe(fail func([]string, string, ...any)) {
	p := d.Probe
	if p == nil {
		return
	}
	if p.Path == "" {
		p.Path = "/bin/probe"
	} else if !cleanAbs(p.Path) {
		fail([]string{"probe", "path"}, "%q is not a clean absolute path", p.Path)
	}
	for name, v := range map[string]Duration{"interval": p.Interval, "timeout": p.Timeout, "start-period": p.StartPeriod} {
		if v != 0 && v < Duration(time.Millisecond) {
			fail([]string{"probe", name}, "%v is shorter than a millisecond", time.Duration(v))
		}
	}
	if p.Retries < 0 || p.Retries > 100 {
		fail([]string{"probe", "retries"}, "%d is out of range 1..100", p.Retries)
	}
}

func (d *Definition) finishCanary(fail func([]string, string, ...any)) {
	c := d.Canary
	if c == nil {
		return
	}
	if len(c.Decoys) == 0 && len(c.Tokens) == 0 {
		c.Decoys = []string{"default"}
	}
	switch c.OnTrip {
	case "":
		c.OnTrip = "alert"
	case "alert", "degrade", "fall":
	default:
		fail([]string{"canary", "on-trip"}, "unknown policy %q: use alert, degrade or fall", c.OnTrip)
	}
	if len(c.Tokens) > 0 && c.Collector == "" {
		fail([]string{"canary", "tokens"}, `tokens need "collector", the URL that their use is reported to`)
	}
	if c.Collector != "" && !strings.HasPrefix(c.Collector, "https://") {
		fail([]string{"canary", "collector"}, "collector %q: want an https URL", c.Collector)
	}
	if c.CA != "" {
		if c.Collector == "" {
			fail([]string{"canary", "ca"}, `"ca" is of no use without "collector"`)
		} else if err := checkPEM(c.CA); err != nil {
			fail([]string{"canary", "ca"}, "%v", err)
		}
	}
	if c.Zone != "" && !zoneName(c.Zone) {
		fail([]string{"canary", "zone"}, "zone %q: want a DNS name of at most %d bytes in lower case, without a final dot", c.Zone, maxZone)
	}
	d.finishDecoys(fail)
	d.finishGuard(fail)
	if d.Probe != nil {
		for _, decoy := range c.Decoys {
			if "/bin/"+decoy == d.Probe.Path || "/usr/bin/"+decoy == d.Probe.Path {
				fail([]string{"canary", "decoys"}, "decoy %q would stand where the probe is", decoy)
			}
		}
	}
}

func cleanAbs(p string) bool {
	return strings.HasPrefix(p, "/") && path.Clean(p) == p && p != "/" && !strings.ContainsAny(p, "\x00\n")
}

// ValidImageName reports whether s can name an image in every registry: the
// form of a repository's path component.
func ValidImageName(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	separator := true
	for _, c := range s {
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (separator || c != '-' && c != '_' && c != '.') {
			return false
		}
		separator = !alnum
	}
	return !separator
}
