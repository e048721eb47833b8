package effect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hardstand/hardstand/build/rootfs"
)

// maxBusybox bounds the busybox program, in bytes.
const maxBusybox = 16 << 20

// busybox moves the program to /busybox, with a link for each applet, out of
// the way of everything that looks for a shell in the usual places.
func busybox(Package) *Effect {
	var program []byte
	return &Effect{
		Does: "the program stands in /busybox, with a link for each of its applets",
		drop: func(p string) bool { return strings.HasPrefix(p, "usr/share/doc/busybox-static/examples") },
		take: func(e rootfs.Entry, body io.Reader) (bool, error) {
			if e.Path != "usr/bin/busybox" {
				return false, nil
			}
			if e.Size > maxBusybox {
				return false, fmt.Errorf("%d bytes, at most %d", e.Size, maxBusybox)
			}
			var err error
			program, err = io.ReadAll(io.LimitReader(body, e.Size))
			return true, err
		},
		finish: func() ([]rootfs.Content, error) {
			names, err := Applets(program)
			if err != nil {
				return nil, err
			}
			list := []rootfs.Content{file("busybox/busybox", 0o755, program)}
			for _, name := range names {
				list = append(list, link("busybox/"+name, "busybox"))
			}
			return list, nil
		},
	}
}

// Applets reads the names of a busybox program's applets out of it: they stand
// one after the other, sorted, each ending in a zero byte, from "[" on
// (applet_names in busybox's libbb/appletlib.c).
func Applets(program []byte) ([]string, error) {
	start := bytes.Index(program, []byte("[\x00[[\x00"))
	if start < 0 {
		return nil, errors.New("the busybox program has no list of applets")
	}
	var names []string
	shell := false
	for rest := program[start:]; ; {
		name, after, ok := bytes.Cut(rest, []byte{0})
		if !ok || len(name) == 0 || len(names) > 1000 {
			break
		}
		if !isApplet(string(name)) {
			return nil, fmt.Errorf("the busybox program's list of applets holds %q", name)
		}
		rest = after
		if string(name) == "busybox" {
			continue // the program itself
		}
		names = append(names, string(name))
		shell = shell || string(name) == "sh"
	}
	if !shell || len(names) > 1000 {
		return nil, errors.New("the busybox program's list of applets has no sh, or no end")
	}
	return names, nil
}

func isApplet(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "[abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == "" && s != "." && s != ".."
}
