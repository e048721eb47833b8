package effect

import (
	"io"
	"path"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/rootfs"
)

// loader makes the cache of libraries that ldconfig would.
func loader(Package) *Effect {
	return &Effect{
		Does:  "/etc/ld.so.cache is written as ldconfig does",
		Whole: []string{WholeLoaderCache},
		// The image's own configuration has it.
		drop: func(p string) bool { return below(p, "usr/share/libc-bin") },
	}
}

// java makes the links of update-alternatives and the lock files of the
// system's preferences.
func java(p Package) *Effect {
	const tools = "usr/lib/jvm/"
	var links []rootfs.Content
	return &Effect{
		Does:        "/usr/bin has the links of update-alternatives, without a choice; /etc/.java is laid out",
		Environment: map[string]string{"JAVA_VERSION": upstream(p.Version)},
		Loaded:      []string{"libjvm.so"}, // by the launcher
		take: func(e rootfs.Entry, _ io.Reader) (bool, error) {
			dir, name := path.Split(e.Path)
			if strings.HasPrefix(dir, tools) && (strings.HasSuffix(dir, "/bin/") || strings.HasSuffix(dir, "/lib/") && name == "jexec") {
				links = append(links, link("etc/alternatives/"+name, "/"+e.Path), link("usr/bin/"+name, "/etc/alternatives/"+name))
			}
			return false, nil
		},
		finish: func() ([]rootfs.Content, error) { return append(links, javaPreferences()...), nil },
	}
}

// javaTools makes the links of the compiler and its like. The runtime that they
// need does the rest.
func javaTools(p Package) *Effect {
	e := java(p)
	e.Does, e.Loaded = "/usr/bin has the links of update-alternatives, without a choice", nil
	links := e.finish
	e.finish = func() ([]rootfs.Content, error) {
		list, err := links()
		return slices.DeleteFunc(list, func(c rootfs.Content) bool { return strings.HasPrefix(c.Path, "etc/.java/") }), err
	}
	return e
}

// preferences is what java-common does, and each runtime once more.
func preferences(Package) *Effect {
	return &Effect{Does: "/etc/.java is laid out by the runtime's package"}
}

func javaPreferences() []rootfs.Content {
	const dir = "etc/.java/.systemPrefs/"
	return []rootfs.Content{file(dir+".system.lock", 0o644, nil), file(dir+".systemRootModFile", 0o644, nil)}
}

// upstream cuts the packaging's parts off a version: "21.0.12.1+1-1~deb13u1"
// is 21.0.12.1.
func upstream(version string) string {
	if i := strings.IndexByte(version, ':'); i >= 0 {
		version = version[i+1:]
	}
	if i := strings.IndexAny(version, "+-~"); i >= 0 {
		version = version[:i]
	}
	return version
}

const noByteCode = "nothing is compiled to byte code: Python does so in memory, and PYTHONDONTWRITEBYTECODE keeps it from writing"

// pythonMinimal lays out /usr/local as the script does.
func pythonMinimal(p Package) *Effect {
	e := pythonSource(p)
	version := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(p.Name, "lib"), "python"), "-minimal")
	if !strings.HasPrefix(p.Name, "lib") {
		e.Environment = map[string]string{"PYTHONDONTWRITEBYTECODE": "1"}
		e.Does += "; /usr/local/lib/python" + version + "/dist-packages exists"
		e.finish = content(rootfs.Content{Entry: rootfs.Entry{Path: "usr/local/lib/python" + version + "/dist-packages", Type: rootfs.Dir, Mode: 0o755}})
	}
	return e
}

func pythonSource(p Package) *Effect {
	e := says(noByteCode)(p)
	// For menus, and for programs that run .pyc files directly.
	e.drop = func(p string) bool {
		return below(p, "usr/share/applications", "usr/share/pixmaps", "usr/share/binfmts")
	}
	return e
}

// fontconfig makes the links that the package's default answers lead to:
// slight hinting, no bitmap fonts.
func fontconfig(Package) *Effect {
	const available = "/usr/share/fontconfig/conf.avail/"
	wanted := []string{"10-hinting-slight.conf", "70-no-bitmaps-except-emoji.conf"}
	offered := map[string]bool{}
	return &Effect{
		Does: "/etc/fonts/conf.d has the links of the default answers: slight hinting, no bitmap fonts",
		take: func(e rootfs.Entry, _ io.Reader) (bool, error) {
			offered[path.Base(e.Path)] = offered[path.Base(e.Path)] || "/"+e.Path == available+path.Base(e.Path)
			return false, nil
		},
		drop: func(p string) bool {
			// Some versions of the package ship these links themselves.
			return p == "etc/fonts/conf.d/"+wanted[0] || p == "etc/fonts/conf.d/"+wanted[1]
		},
		finish: func() ([]rootfs.Content, error) {
			var links []rootfs.Content
			for _, name := range wanted {
				if offered[name] {
					links = append(links, link("etc/fonts/conf.d/"+name, available+name))
				}
			}
			return links, nil
		},
	}
}

// nodejs makes the link of update-alternatives, and the path at which other
// images of Node.js have the program.
func nodejs(Package) *Effect {
	return &Effect{
		Does:   "/usr/bin/js has the link of update-alternatives, without a choice; /nodejs/bin/node leads to /usr/bin/node",
		finish: content(link("etc/alternatives/js", "/usr/bin/nodejs"), link("usr/bin/js", "/etc/alternatives/js"), link("nodejs/bin/node", "/usr/bin/node")),
	}
}

// maxConfig bounds a configuration file that is copied, in bytes.
const maxConfig = 1 << 20

// readline copies the default key bindings to where they are read from.
func readline(Package) *Effect {
	const from = "usr/share/readline/inputrc"
	var data []byte
	return &Effect{
		Does: "/etc/inputrc is a copy of /" + from,
		take: func(e rootfs.Entry, body io.Reader) (taken bool, err error) {
			if e.Path != from {
				return false, nil
			}
			data, err = io.ReadAll(io.LimitReader(body, maxConfig))
			return true, err
		},
		finish: func() ([]rootfs.Content, error) {
			return []rootfs.Content{file(from, 0o644, data), file("etc/inputrc", 0o644, data)}, nil
		},
	}
}
