//go:build e2e

package images_test

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/build/gate"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
)

// entry is a path of an image.
type entry struct {
	tar.Header
	layer int
	sum   string // MD5, as packages list it
	data  []byte // of files that are looked at
}

// opened is an image as its layers say.
type opened struct {
	config   *v1.ConfigFile
	manifest *v1.Manifest
	layers   []v1.Layer
	files    map[string]entry
}

// wanted are the files whose text is looked at.
var wanted = regexp.MustCompile(`^(etc/(passwd|group|ssl/certs/ca-certificates\.crt)|usr/lib/os-release|var/lib/dpkg/status\.d/.*)$`)

// open reads a layout of one platform. Nothing may stand twice in a layer, nor,
// but directories, in two.
func open(t *testing.T, layout string) *opened {
	t.Helper()
	idx, err := oci.ReadLayout(layout)
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		t.Fatalf("%s has %+v, %v", layout, m, err)
	}
	img, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	o := &opened{files: map[string]entry{}}
	if o.config, err = img.ConfigFile(); err != nil {
		t.Fatal(err)
	}
	if o.manifest, err = img.Manifest(); err != nil {
		t.Fatal(err)
	}
	if o.layers, err = img.Layers(); err != nil {
		t.Fatal(err)
	}
	for n := range o.layers {
		o.read(t, n)
	}
	return o
}

func (o *opened) read(t *testing.T, n int) {
	t.Helper()
	r, err := o.layers[n].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // opened for reading
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		e := entry{Header: *h, layer: n}
		p := strings.TrimSuffix(h.Name, "/")
		if old, twice := o.files[p]; twice && (old.layer == n || h.Typeflag != tar.TypeDir || old.Typeflag != tar.TypeDir || old.Mode != h.Mode) {
			t.Errorf("/%s stands in layer %d and again in layer %d", p, old.layer+1, n+1)
		}
		if h.Typeflag == tar.TypeReg {
			var text bytes.Buffer
			sum := md5.New()
			w := io.Writer(sum)
			if wanted.MatchString(p) {
				w = io.MultiWriter(sum, &text)
			}
			if _, err := io.Copy(w, tr); err != nil {
				t.Fatal(err)
			}
			e.sum, e.data = hex.EncodeToString(sum.Sum(nil)), text.Bytes()
		}
		o.files[p] = e
	}
}

// follow resolves symlinks of an absolute path.
func (o *opened) follow(p string) (string, bool) {
	rest := strings.Split(strings.Trim(p, "/"), "/")
	at := ""
	for steps := 0; len(rest) > 0; steps++ {
		next := path.Join(at, rest[0])
		e, ok := o.files[next]
		if !ok || steps > 100 {
			return "", false
		}
		rest = rest[1:]
		if e.Typeflag != tar.TypeSymlink {
			at = next
			continue
		}
		target := path.Join("/", at, e.Linkname)
		if path.IsAbs(e.Linkname) {
			target = e.Linkname
		}
		rest, at = append(strings.Split(strings.Trim(path.Clean(target), "/"), "/"), rest...), ""
	}
	return at, true
}

const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	group  = "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n"
	pathOf = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// modes are what every image has beside files, "" for any mode.
var modes = map[string]string{
	"tmp": "1777 0:0", "root": "0700 0:0", "home": "0755 0:0", "home/nonroot": "0700 65532:65532",
	"etc/passwd": "0644 0:0", "etc/group": "0644 0:0", "etc/os-release": "", "etc/nsswitch.conf": "0644 0:0", "etc/services": "0644 0:0",
	"etc/mime.types": "0644 0:0", "etc/ssl/certs/ca-certificates.crt": "0644 0:0", "usr/share/doc/ca-certificates/copyright": "0644 0:0",
	"usr/share/doc/tzdata/copyright": "0644 0:0", "usr/share/zoneinfo/Europe/Berlin": "0644 0:0", "usr/bin/probe": "0555 0:0",
}

// promises are what an image of a kind has and has not, by patterns of whole
// paths; the kind is the name without suite.
var promises = map[string]struct{ has, lacks []string }{
	"static":      {nil, []string{`usr/lib/[^/]+-linux-gnu/.*\.so.*`}},
	"base-nossl":  {[]string{`usr/lib/[^/]+/libc\.so\.6`}, []string{`.*/libssl\.so.*`}},
	"base":        {[]string{`usr/lib/[^/]+/libc\.so\.6`, `usr/lib/[^/]+/libssl\.so\.3`, `usr/lib/[^/]+/libz\.so\.1`, `usr/lib/[^/]+/libzstd\.so\.1`}, []string{`usr/bin/openssl`, `usr/lib/[^/]+/gconv/.*`, `.*/libstdc\+\+.*`}},
	"cc":          {[]string{`usr/lib/[^/]+/libstdc\+\+\.so\.6`, `usr/lib/[^/]+/libgomp\.so\.1`, `usr/lib/[^/]+/libgcc_s\.so\.1`}, []string{`usr/bin/openssl`}},
	"python3":     {[]string{`usr/bin/python3\.\d+`, `usr/bin/python`, `usr/bin/python3`, `etc/ld\.so\.cache`, `usr/lib/locale/C\.utf8/LC_CTYPE`}, []string{`.*\.pyc`, `usr/bin/pip.*`, `.*/__pycache__(/.*)?`}},
	"java-base":   {[]string{`etc/ssl/certs/java/cacerts`, `usr/lib/locale/C\.utf8/LC_CTYPE`, `usr/share/fonts/truetype/dejavu/DejaVuSans\.ttf`}, []string{`usr/lib/jvm(/.*)?`}},
	"java":        {[]string{`usr/bin/java`, `usr/lib/jvm/[^/]+/lib/jexec`, `usr/lib/jvm/[^/]+/lib/jspawnhelper`, `usr/lib/jvm/[^/]+/lib/security/cacerts`, `etc/ssl/certs/java/cacerts`}, []string{`.*/javac`, `.*/libjsound\.so`}},
	"java-debug":  {[]string{`usr/bin/javac`, `usr/lib/jvm/[^/]+/bin/jcmd`}, nil},
	"nodejs":      {[]string{`nodejs/bin/node`, `usr/bin/node`}, []string{`usr/include/node/.*`, `(.*/)?(npm|npx|corepack)`}},
	"every":       {[]string{`bin`, `lib`, `sbin`}, []string{`dev/.+`, `.*\.dpkg-.*`, `usr/share/man/.*`, `var/lib/dpkg/(status|info/.*)`, `usr/share/doc/.*/changelog.*`}},
	"every-plain": {nil, []string{`busybox(/.*)?`}},
	"every-debug": {[]string{`busybox/sh`, `busybox/busybox`, `busybox/wget`}, []string{`usr/bin/(sh|bash|curl|wget)`}},
}

// TestParity looks at every image in every variant for what people expect of
// it, and asks the gates what they say of it as of a stranger's image.
func TestParity(t *testing.T) {
	definitions, err := filepath.Glob("../../images/*.yaml")
	if err != nil || len(definitions) == 0 {
		t.Fatal(definitions, err)
	}
	for _, file := range definitions {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if name == "probe" || name == "canary" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			plain := open(t, layoutOf(t, name))
			plain.check(t, name, "")
			plain.gates(t)
			sameBut(t, plain, layoutOf(t, name+"-root"))
			if kind(name) == "java" && name != "java21" {
				return // the others differ in the version, and are large
			}
			debug := open(t, layoutOf(t, name+"-debug"))
			debug.check(t, name, "debug")
			for n, id := range plain.config.RootFS.DiffIDs[:len(plain.layers)-2] { // below configuration and decoys
				if debug.config.RootFS.DiffIDs[n] != id {
					t.Errorf("layer %d of packages is not shared with the debug variant", n+1)
				}
			}
			sameBut(t, debug, layoutOf(t, name+"-debug-root"))
		})
	}
}

// sameBut compares the variant that runs as root with the image that does not:
// the packages' layers are shared, only the user and what follows from it differ.
func sameBut(t *testing.T, of *opened, layout string) {
	t.Helper()
	idx, err := oci.ReadLayout(layout)
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.Config.User != "0" || c.Config.WorkingDir != "/" {
		t.Errorf("%s runs as %q in %q", layout, c.Config.User, c.Config.WorkingDir)
	}
	n := len(of.config.RootFS.DiffIDs)
	if strings.Contains(of.config.History[n-1].Comment, "application tools") {
		n-- // the decoys of each variant have keys of their own
	}
	if diff := cmp.Diff(of.config.RootFS.DiffIDs[:n], c.RootFS.DiffIDs[:n]); diff != "" {
		t.Errorf("the variant has other layers: %s", diff)
	}
	if diff := cmp.Diff(of.config.Config.Env, c.Config.Env); diff != "" || !slices.Equal(of.config.Config.Entrypoint, c.Config.Entrypoint) {
		t.Errorf("the variant has another environment or entrypoint: %s", diff)
	}
}

// kind is an image's name without suite and version.
func kind(name string) string {
	name = strings.TrimSuffix(name, "-bookworm")
	if strings.HasPrefix(name, "java") && name != "java-base" {
		return "java"
	}
	return name
}

func (o *opened) check(t *testing.T, name, variant string) {
	t.Helper()
	o.checkConfig(t, name, variant)
	for p, want := range modes {
		e, ok := o.files[p]
		if have := fmt.Sprintf("%04o %d:%d", e.Mode, e.Uid, e.Gid); !ok || want != "" && have != want {
			t.Errorf("/%s is %s, want %s", p, have, want)
		}
	}
	if diff := cmp.Diff(passwd+group, string(o.files["etc/passwd"].data)+string(o.files["etc/group"].data)); diff != "" {
		t.Error(diff)
	}
	for _, e := range o.files {
		if e.Typeflag != tar.TypeReg && e.Typeflag != tar.TypeDir && e.Typeflag != tar.TypeSymlink && e.Typeflag != tar.TypeLink || e.Uname+e.Gname != "" {
			t.Errorf("/%s has type %c and owners called %q", e.Name, e.Typeflag, e.Uname+e.Gname)
		}
	}
	o.checkAuthorities(t)
	o.checkPackages(t, name, variant)
	kinds := []string{"every", kind(name), "every-plain"}
	if variant == "debug" {
		kinds = []string{"every", "every-debug"}
		if kind(name) == "java" {
			kinds = append(kinds, "java-debug")
		}
	}
	for _, k := range kinds {
		o.checkPromises(t, k)
	}
}

func (o *opened) checkPromises(t *testing.T, kind string) {
	t.Helper()
	has := slices.Collect(maps.Keys(o.files))
	find := func(pattern string) string {
		whole := regexp.MustCompile("^(?:" + pattern + ")$")
		if i := slices.IndexFunc(has, whole.MatchString); i >= 0 {
			return has[i]
		}
		return ""
	}
	for _, pattern := range promises[kind].has {
		p := find(pattern)
		target, ok := o.follow(p)
		if p == "" || !ok {
			t.Errorf("%s: nothing is at %s, or it leads nowhere", kind, pattern)
			continue
		}
		if base := path.Base(p); (path.Base(path.Dir(p)) == "bin" || base == "jexec" || base == "jspawnhelper") && o.files[target].Mode&0o555 != 0o555 {
			t.Errorf("%s: /%s is not executable for everybody", kind, target)
		}
	}
	for _, pattern := range promises[kind].lacks {
		if p := find(pattern); p != "" {
			t.Errorf("%s: /%s should not be there", kind, p)
		}
	}
}

func (o *opened) checkConfig(t *testing.T, name, variant string) {
	t.Helper()
	c := o.config.Config
	want := []string{pathOf, "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"}
	entrypoint := map[string][]string{"java": {"/usr/bin/java", "-jar"}, "nodejs": {"/nodejs/bin/node"}}[kind(name)]
	if kind(name) == "python3" {
		entrypoint = []string{"/usr/bin/python" + map[bool]string{true: "3.11", false: "3.13"}[strings.HasSuffix(name, "bookworm")]}
	}
	if kind(name) == "python3" || strings.HasPrefix(name, "java") {
		want = append(want, "LANG=C.UTF-8")
	}
	if variant == "debug" {
		want[0], entrypoint = pathOf+":/busybox", []string{"/busybox/sh"}
	}
	for _, v := range want {
		if !slices.Contains(c.Env, v) {
			t.Errorf("the environment %q lacks %s", c.Env, v)
		}
	}
	if !slices.Equal(c.Entrypoint, entrypoint) || len(c.Cmd) != 0 || c.User != "65532" || c.WorkingDir != "/home/nonroot" {
		t.Errorf("entrypoint %q %q, user %q in %q", c.Entrypoint, c.Cmd, c.User, c.WorkingDir)
	}
	for _, key := range []string{"title", "description", "source", "created"} {
		key = "org.opencontainers.image." + key
		if c.Labels[key] == "" || c.Labels[key] != o.manifest.Annotations[key] {
			t.Errorf("%s: label %q, annotation %q", key, c.Labels[key], o.manifest.Annotations[key])
		}
	}
	if len(o.layers) > 4 || o.config.Created.IsZero() {
		t.Errorf("%d layers, created %v", len(o.layers), o.config.Created)
	}
}

// checkAuthorities counts the bundle's certificates, each of which must parse.
func (o *opened) checkAuthorities(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	for rest := o.files["etc/ssl/certs/ca-certificates.crt"].data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !c.IsCA {
			t.Errorf("a certificate of the bundle: %v", err)
			continue
		}
		seen[string(c.Raw)] = true
	}
	if len(seen) < 120 || len(seen) > 200 {
		t.Errorf("the bundle has %d certificate authorities", len(seen))
	}
}

// checkPackages compares the package database with the lock, and the checksums
// in it with the files.
func (o *opened) checkPackages(t *testing.T, name, variant string) {
	t.Helper()
	file := "../../images/" + name + ".lock.json"
	if variant != "" {
		file = "../../images/" + name + "-" + variant + ".lock.json"
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l, err := spec.ParseLock(file, data)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Platforms["linux/amd64"] {
		stanza := string(o.files["var/lib/dpkg/status.d/"+p.Name].data)
		if !strings.Contains(stanza, "Package: "+p.Name+"\n") || !strings.Contains(stanza, "Version: "+p.Version+"\n") {
			t.Errorf("the package database says of %s %s: %q", p.Name, p.Version, stanza)
		}
		sums, ok := o.files["var/lib/dpkg/status.d/"+p.Name+".md5sums"]
		if !ok {
			t.Errorf("the checksums of %s are missing", p.Name)
		}
		for line := range strings.Lines(string(sums.data)) {
			sum, at, _ := strings.Cut(strings.TrimSpace(line), "  ")
			target, _ := o.follow(path.Dir(at))
			if have := o.files[path.Join(target, path.Base(at))]; have.sum != sum {
				t.Errorf("%s: /%s has the checksum %q, the package's list says %s", p.Name, at, have.sum, sum)
			}
		}
	}
	for p := range o.files {
		if pkg, ok := strings.CutPrefix(p, "var/lib/dpkg/status.d/"); ok &&
			!slices.ContainsFunc(l.Platforms["linux/amd64"], func(p *spec.Package) bool { return p.Name == strings.TrimSuffix(pkg, ".md5sums") }) {
			t.Errorf("the package database has %s, which the lock has not", pkg)
		}
	}
}

// gates asks the gates for what they say of the layers below the decoys, which
// have the names of shells.
func (o *opened) gates(t *testing.T) {
	t.Helper()
	var layers []io.Reader
	for _, l := range o.layers[:len(o.layers)-1] {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close() //nolint:errcheck // opened for reading
		layers = append(layers, r)
	}
	img, err := gate.Read(layers, "x86_64-linux-gnu", o.config.Config.User)
	if err != nil {
		t.Fatal(err)
	}
	findings := slices.Concat(gate.SetID(img), gate.WorldWritable(img), gate.MergedUsr(img), gate.Shell(img), gate.Root(img),
		gate.Denied(img, []string{"bash", "dash", "perl-base", "dpkg", "apt"}))
	for _, f := range findings {
		t.Errorf("%s: %s", f.Gate, f.Message)
	}
	for _, f := range gate.Libraries(img) {
		if !strings.Contains(f.Message, "libjvm.so") && !strings.Contains(f.Message, "libjava.so") { // the launcher loads them
			t.Errorf("%s: %s", f.Gate, f.Message)
		}
	}
	if len(img.Packages) == 0 || len(img.Entries) < 500 {
		t.Errorf("the gates see %d packages and %d paths", len(img.Packages), len(img.Entries))
	}
}

// TestCompatOfDistroless has the profile's os-release, and no decoy where the
// other project's images promise that nothing is.
func TestCompatOfDistroless(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "twin.yaml"), []byte("name: twin\ninclude: base\ncompat: distroless\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile("../../images/base.lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "twin.lock.json"), lock, 0o644); err != nil {
		t.Fatal(err)
	}
	hardstand(t, "build", filepath.Join(dir, "twin.yaml"), "-q", "--locked", "--platform", "linux/amd64", "-o", "oci:"+filepath.Join(dir, "twin"))
	o := open(t, filepath.Join(dir, "twin"))
	release := string(o.files["usr/lib/os-release"].data)
	for _, want := range []string{`PRETTY_NAME="Distroless"`, `NAME="Debian GNU/Linux"`, `ID="debian"`, `VERSION_ID="13"`, `VERSION="Debian GNU/Linux 13 (trixie)"`} {
		if !slices.Contains(strings.Split(release, "\n"), want) {
			t.Errorf("os-release lacks %s:\n%s", want, release)
		}
	}
	if target, _ := o.follow("etc/os-release"); target != "usr/lib/os-release" || o.files[target].Mode != 0o555 || strings.Contains(release, "VERSION_CODENAME") {
		t.Errorf("/etc/os-release leads to %q, mode %04o:\n%s", target, o.files[target].Mode, release)
	}
	for _, p := range []string{"usr/bin/sh", "bin/sh", "busybox/sh", "usr/lib/jvm"} {
		if _, ok := o.follow(p); ok {
			t.Errorf("/%s is there", p)
		}
	}
}

// imageSizes are the sizes of the images built so far, in bytes of compressed
// layers.
var imageSizes = map[string]int64{}

// layoutOf builds a built-in image for amd64 into a layout that the test ends
// with.
func layoutOf(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	imageSizes[name] = layersOf(t, dir, name)
	return dir
}
