// Package effect does natively what the maintainer scripts of known packages
// would do in an image, and says so. Scripts are never run: one that nothing
// here stands in for is reported.
//
// An Effect works on one package while its files are copied. What needs the
// whole image, such as the loader's cache, is named in Whole and made by
// LoaderCache and Keystore once the image is together.
package effect

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hardstand/hardstand/build/rootfs"
)

// Package is the package that an effect is for.
type Package struct {
	Name, Version, Architecture string
	Scripts                     []string // the maintainer scripts it has
}

// The effects on a whole image.
const (
	WholeLoaderCache = "ld.so.cache"
	WholeKeystore    = "java-keystore"
)

// Effect stands in for the scripts of one package. The zero value does
// nothing.
type Effect struct {
	// Does says what is done in place of the scripts, for people.
	Does string
	// Unhandled names the scripts that nothing stands in for.
	Unhandled []string
	// Environment is what the image's processes get on account of the package.
	Environment map[string]string
	// Loaded names libraries that the package's programs load before others ask
	// for them.
	Loaded []string
	// Whole names effects on the whole image.
	Whole []string

	drop   func(path string) bool
	take   func(e rootfs.Entry, body io.Reader) (bool, error)
	finish func() ([]rootfs.Content, error)
}

// Drop reports whether a path of the package is left out.
func (e *Effect) Drop(path string) bool { return e.drop != nil && e.drop(path) }

// Take reads a file that goes into the image in another form, and reports
// whether it did.
func (e *Effect) Take(entry rootfs.Entry, body io.Reader) (bool, error) {
	if e.take == nil {
		return false, nil
	}
	return e.take(entry, body)
}

// Files returns what the image gets beyond the package's own files. It is
// called after the last of them.
func (e *Effect) Files() ([]rootfs.Content, error) {
	if e.finish == nil {
		return nil, nil
	}
	return e.finish()
}

// known are the packages with effects, by a pattern of their whole names.
var known = []struct {
	name func() *regexp.Regexp
	make func(Package) *Effect
}{
	{pattern(`ca-certificates`), certificates},
	{pattern(`ca-certificates-java`), javaCertificates},
	{pattern(`busybox-static`), busybox},
	{pattern(`libc-bin`), loader},
	{pattern(`openjdk-([0-9]+)-jre-headless`), java},
	{pattern(`openjdk-([0-9]+)-jdk-headless`), javaTools},
	{pattern(`java-common`), preferences},
	{pattern(`(lib)?python3\.[0-9]+-minimal`), pythonMinimal},
	{pattern(`(lib)?python3\.[0-9]+(-stdlib|-venv)?|python3-(distutils|lib2to3)`), pythonSource},
	{pattern(`fontconfig-config`), fontconfig},
	{pattern(`nodejs`), nodejs},
	{pattern(`readline-common`), readline},
	{pattern(`base-files`), says("the directories and links of the root come from the package and the image's own configuration")},
	{pattern(`libc6`), says("there are no services to restart and no older version to replace")},
	{pattern(`tzdata`), says("the time zone is UTC unless the environment says otherwise")},
	{pattern(`netbase|media-types|libssl3(t64)?|zlib1g|fonts-dejavu-core|fonts-dejavu-mono|libreadline8(t64)?|node-undici|libselinux1|libgssapi-krb5-2|libgcrypt20|libglib2\.0-0(t64)?`), says("there is no older version whose files or services need care")},
}

// pattern compiles at the first use: a warm build has none.
func pattern(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^(?:" + s + ")$") })
}

// Of returns the effect for a package.
func Of(p Package) *Effect {
	for _, k := range known {
		if k.name().MatchString(p.Name) {
			return k.make(p)
		}
	}
	e := &Effect{}
	for _, s := range p.Scripts {
		if s == "preinst" || s == "postinst" || s == "config" { // the others run when a package goes
			e.Unhandled = append(e.Unhandled, s)
		}
	}
	return e
}

// says makes an effect that only needs saying. A package without scripts
// needs nothing said.
func says(what string) func(Package) *Effect {
	return func(p Package) *Effect {
		if !slices.ContainsFunc(p.Scripts, func(s string) bool { return s == "preinst" || s == "postinst" || s == "config" }) {
			return &Effect{}
		}
		return &Effect{Does: what}
	}
}

func file(path string, mode uint32, data []byte) rootfs.Content {
	return rootfs.Content{Entry: rootfs.Entry{Path: path, Mode: mode}, Data: data}
}

func link(path, target string) rootfs.Content {
	return rootfs.Content{Entry: rootfs.Entry{Path: path, Type: rootfs.Symlink, Mode: 0o777, Link: target}}
}

// content makes a finish function of a fixed list.
func content(list ...rootfs.Content) func() ([]rootfs.Content, error) {
	return func() ([]rootfs.Content, error) { return list, nil }
}

// below reports whether a path is one of the directories or in one of them.
func below(p string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return p == d || strings.HasPrefix(p, d+"/") })
}
