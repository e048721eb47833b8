package inventory

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// maxLine bounds a line of a package list, in bytes.
const maxLine = 4 << 20

// stanza is one paragraph of deb-control(5), the fields we ask for.
type stanza struct {
	name, version, arch, source, status string
}

// parseStatus reads dpkg's status file, or one file of status.d.
func parseStatus(data []byte) ([]stanza, error) {
	var list []stanza
	var s stanza
	number, empty := 0, true
	flush := func() error {
		if empty {
			return nil
		}
		number++
		if s.name == "" || s.version == "" && s.present() {
			return fmt.Errorf("paragraph %d names no package or no version", number)
		}
		if s.present() {
			list = append(list, s)
		}
		s, empty = stanza{}, true
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := lines.Text()
		if strings.TrimSpace(line) == "" {
			if err := flush(); err != nil {
				return nil, err
			}
			continue
		}
		empty = false
		if line[0] != ' ' && line[0] != '\t' {
			s.field(line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return list, flush()
}

func (s *stanza) field(line string) {
	key, value, ok := strings.Cut(line, ":")
	if !ok {
		return
	}
	value = strings.TrimSpace(value)
	switch strings.ToLower(key) {
	case "package":
		s.name = value
	case "version":
		s.version = value
	case "architecture":
		s.arch = value
	case "source":
		s.source = value
	case "status":
		s.status = value
	}
}

// present reports whether dpkg has the package's files unpacked.
func (s *stanza) present() bool {
	words := strings.Fields(s.status)
	if len(words) == 0 {
		return true // status.d has no such field
	}
	state := words[len(words)-1]
	return state != "not-installed" && state != "config-files"
}

// deb makes a package of a stanza. release is the ecosystem, distribution and
// version, such as debian and 13.
func (s *stanza) deb(r Release) Package {
	source, version := s.name, s.version
	if s.source != "" {
		name, rest, ok := strings.Cut(s.source, " ")
		source = name
		if ok {
			version = strings.Trim(rest, "() ")
		}
	}
	return Package{
		Ecosystem: r.Ecosystem(), Name: source, Version: version, Binary: s.name, BinaryVersion: s.version, Arch: s.arch,
		PURL: debPURL(r, s.name, s.version, s.arch, source, version),
	}
}

// parseAPK reads apk's list of installed packages.
func parseAPK(data []byte, r Release) ([]Package, error) {
	var list []Package
	var name, version, origin, arch string
	flush := func() error {
		if name == "" && version == "" {
			return nil
		}
		if name == "" || version == "" {
			return fmt.Errorf("paragraph %d names no package or no version", len(list)+1)
		}
		if origin == "" {
			origin = name
		}
		list = append(list, Package{
			Ecosystem: r.Ecosystem(), Name: origin, Version: version, Binary: name, BinaryVersion: version, Arch: arch,
			PURL: fmt.Sprintf("pkg:apk/%s/%s@%s?arch=%s&distro=%s-%s", r.ID, escape(name), escape(version), escape(arch), r.ID, escape(r.Version)),
		})
		name, version, origin, arch = "", "", "", ""
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch key {
		case "":
			if err := flush(); err != nil {
				return nil, err
			}
		case "P":
			name = value
		case "V":
			version = value
		case "o":
			origin = value
		case "A":
			arch = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return list, flush()
}
