package image

import (
	"archive/tar"
	"path"
	"regexp"
	"strings"
	"sync"
)

// tools are programs by what they are good for to an intruder.
var tools = func() map[string]string {
	m := map[string]string{}
	for kind, names := range map[string]string{
		"a shell":           "sh bash dash ash zsh ksh mksh csh tcsh fish busybox toybox rbash",
		"a package manager": "apt apt-get aptitude dpkg apk yum dnf microdnf rpm zypper pacman pip pip3 npm yarn pnpm gem conda brew opkg snap",
		"a download tool":   "curl wget nc ncat netcat nc.openbsd nc.traditional socat ssh scp sftp ftp lftp tftp telnet rsync aria2c git",
		"an interpreter":    "python python2 python3 perl ruby lua node nodejs php java tclsh gawk mawk awk",
	} {
		for _, n := range strings.Fields(names) {
			m[n] = kind
		}
	}
	return m
}()

var versioned = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([a-z]+?)[-]?[0-9]+(\.[0-9]+)*$`) })

// toolKind says what a program of this name is, or returns "".
func toolKind(name string) string {
	if kind := tools[name]; kind != "" {
		return kind
	}
	if m := versioned().FindStringSubmatch(name); m != nil {
		return tools[m[1]]
	}
	return ""
}

var programDirs = map[string]bool{
	"bin": true, "sbin": true, "usr/bin": true, "usr/sbin": true, "usr/local/bin": true, "usr/local/sbin": true, "busybox": true, "opt/bin": true,
}

// tool reports whether a file is a program of the kind, where programs are
// looked for.
func (s *subject) tool(e *entry, kind string) bool {
	if !s.runnable(e) || toolKind(path.Base(e.path)) != kind {
		return false
	}
	return programDirs[path.Dir(e.path)] || s.onPath(path.Dir(e.path))
}

// runnable reports whether exec could start the file: a program, or a link to
// one.
func (s *subject) runnable(e *entry) bool {
	switch e.kind {
	case tar.TypeReg:
		return e.mode&0o111 != 0
	case tar.TypeSymlink:
		t := s.find(e.path)
		return t != nil && t.kind == tar.TypeReg && t.mode&0o111 != 0 && !s.decoy(t)
	}
	return false
}

func (s *subject) onPath(dir string) bool {
	for _, d := range splitPath(s.environment()["PATH"]) {
		if strings.Trim(d, "/") == dir {
			return true
		}
	}
	return false
}

func splitPath(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ":")
}

// ofKind judges that no tool of a kind is there.
func (c *check) ofKind(kind string) {
	c.method = "names, modes and targets of the programs in the final file system; decoys excluded by digest"
	list := c.matching(func(e *entry) bool { return c.tool(e, kind) })
	c.files("fail", list, "no "+strings.TrimPrefix(strings.TrimPrefix(kind, "an "), "a "), func(e *entry) string {
		if e.kind == tar.TypeSymlink {
			return kind + ", a link to " + shorten(e.link)
		}
		return kind
	}, "none among the programs of the image")
}
