package inventory

import (
	"errors"
	"fmt"
	"strings"

	packageurl "github.com/package-url/packageurl-go"
)

// debPURL writes the package URL of a Debian package as our bills of materials
// do.
func debPURL(r Release, name, version, arch, source, sourceVersion string) string {
	s := fmt.Sprintf("pkg:deb/%s/%s@%s?arch=%s&distro=%s-%s", r.ID, escape(name), escape(version), arch, r.ID, r.Version)
	if source != name || sourceVersion != version {
		s += "&upstream=" + escape(source)
		if sourceVersion != version {
			s += escape("@" + sourceVersion)
		}
	}
	return s
}

// goPURL writes the package URL of a module; the standard library is
// pkg:golang/stdlib.
func goPURL(module, version string) string {
	parts := strings.Split(module, "/")
	for i, p := range parts {
		parts[i] = escape(p)
	}
	return "pkg:golang/" + strings.Join(parts, "/") + "@" + escape(version)
}

// escape percent-encodes everything but the characters that the package URL
// specification leaves as they are.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-_~:", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ErrNoPackage marks a package URL of something that no database lists as a
// package: the image itself, a file.
var ErrNoPackage = errors.New("it is no package of an ecosystem")

// ErrNoVersion marks a package URL without a version, such as that of the
// program a bill of materials is about.
var ErrNoVersion = errors.New("it has no version and is not judged")

// languages are package URL types whose packages are named the same in the
// database.
var languages = map[string]string{
	packageurl.TypeCargo: "crates.io", packageurl.TypeGem: "RubyGems", packageurl.TypeNuget: "NuGet", packageurl.TypeHex: "Hex",
	packageurl.TypePub: "Pub", packageurl.TypeHackage: "Hackage", packageurl.TypeCran: "CRAN",
}

// FromPURL makes a package of a package URL. What no database lists gives
// ErrNoPackage; what cannot be judged gives another error.
func FromPURL(text string) (Package, error) {
	u, err := packageurl.FromString(text)
	if err != nil {
		return Package{}, fmt.Errorf("read package URL %.200q: %w", text, err)
	}
	p := Package{Name: u.Name, Version: u.Version, PURL: text}
	switch u.Type {
	case packageurl.TypeOCI, packageurl.TypeDocker, packageurl.TypeGeneric, packageurl.TypeGithub, "":
		return p, ErrNoPackage
	case packageurl.TypeDebian, packageurl.TypeApk:
		err = p.distribution(u)
	case packageurl.TypeGolang:
		p.golang(u)
	case packageurl.TypeNPM:
		p.Ecosystem, p.Name = "npm", join(u.Namespace, "/", u.Name)
	case packageurl.TypePyPi:
		p.Ecosystem, p.Name = "PyPI", strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(u.Name))
	case packageurl.TypeMaven:
		p.Ecosystem, p.Name = "Maven", join(u.Namespace, ":", u.Name)
	case packageurl.TypeComposer:
		p.Ecosystem, p.Name = "Packagist", join(u.Namespace, "/", u.Name)
	default:
		if p.Ecosystem = languages[u.Type]; p.Ecosystem == "" {
			err = fmt.Errorf("packages of type %q cannot be judged", u.Type)
		}
	}
	if err == nil && p.Version == "" {
		err = ErrNoVersion
	}
	if err != nil {
		return p, fmt.Errorf("package URL %.200q: %w", text, err)
	}
	return p, nil
}

func join(a, sep, b string) string {
	if a == "" {
		return b
	}
	return a + sep + b
}

func (p *Package) golang(u packageurl.PackageURL) {
	p.Ecosystem, p.Name = "Go", join(u.Namespace, "/", u.Name)
	p.Version = strings.TrimPrefix(u.Version, "v")
	if p.Name == "stdlib" || p.Name == "std" {
		p.Name = "stdlib"
		if v, ok := goVersion(u.Version); ok {
			p.Version = v
		}
	}
}

// distribution reads the qualifiers that distributions use.
func (p *Package) distribution(u packageurl.PackageURL) error {
	q := u.Qualifiers.Map()
	r := ParseDistro(u.Namespace, q["distro"])
	if p.Ecosystem = r.Ecosystem(); p.Ecosystem == "" {
		return errors.New("it names no release of a known distribution (distro=debian-13)")
	}
	p.Arch, p.Binary, p.BinaryVersion = q["arch"], u.Name, u.Version
	if upstream := q["upstream"]; upstream != "" {
		name, version, ok := strings.Cut(upstream, "@")
		p.Name = name
		if ok {
			p.Version = version
		}
	}
	return nil
}
