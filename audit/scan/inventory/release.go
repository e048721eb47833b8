package inventory

import (
	"strings"
)

// Release is what os-release(5) says of a distribution.
type Release struct {
	ID       string `json:"id,omitempty"`      // such as "debian"
	Version  string `json:"version,omitempty"` // such as "13"
	Codename string `json:"codename,omitempty"`
}

// codenames are Debian's releases, for lists that give a name only.
var codenames = map[string]string{
	"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15",
}

// Codename returns the name of a Debian release number, or "".
func Codename(version string) string {
	for name, v := range codenames {
		if v == version {
			return name
		}
	}
	return ""
}

// ParseRelease reads os-release(5).
func ParseRelease(data []byte) Release {
	fields := map[string]string{}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			fields[key] = strings.Trim(value, `"'`)
		}
	}
	r := Release{ID: strings.ToLower(fields["ID"]), Version: fields["VERSION_ID"], Codename: fields["VERSION_CODENAME"]}
	if r.ID == "debian" && r.Version == "" {
		r.Version = codenames[r.Codename]
	}
	return r
}

// ParseDistro reads a release as package URLs write it: "debian-13",
// "debian-13.2", "trixie", "ubuntu-24.04", "alpine-3.20.1".
func ParseDistro(namespace, distro string) Release {
	if v := codenames[distro]; v != "" {
		return Release{ID: "debian", Version: v, Codename: distro}
	}
	id, version, ok := strings.Cut(distro, "-")
	if !ok {
		id, version = namespace, distro
	}
	if v := codenames[version]; v != "" {
		version = v
	}
	return Release{ID: strings.ToLower(id), Version: version}
}

// Ecosystem returns the database's name for the distribution's packages, or
// "" where the release is not known.
func (r Release) Ecosystem() string {
	version := strings.TrimPrefix(r.Version, "v")
	if version == "" || version[0] < '0' || version[0] > '9' {
		version = ""
	}
	parts := strings.Split(version, ".")
	switch {
	case r.ID == "wolfi":
		return "Wolfi"
	case r.ID == "chainguard":
		return "Chainguard"
	case version == "":
		return ""
	case r.ID == "debian":
		return "Debian:" + parts[0]
	case r.ID == "ubuntu" && len(parts) > 1:
		return "Ubuntu:" + parts[0] + "." + parts[1]
	case r.ID == "alpine" && len(parts) > 1:
		return "Alpine:v" + parts[0] + "." + parts[1]
	}
	return ""
}
