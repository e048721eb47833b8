package effect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/rootfs"
)

// maxCertificate bounds one certificate file, in bytes.
const maxCertificate = 1 << 20

// BundlePath is where images have their certificate authorities.
const BundlePath = "etc/ssl/certs/ca-certificates.crt"

// certificates makes the bundle that update-ca-certificates would: the
// package's certificates in order of their paths, each ending in a newline.
// The single files and the tools around them are left out.
func certificates(Package) *Effect {
	const dir = "usr/share/ca-certificates/"
	pems, size := map[string][]byte{}, 0
	return &Effect{
		Does: "the certificates are joined to /" + BundlePath + ", as update-ca-certificates does; single files and hashed names are left out",
		drop: func(p string) bool {
			return strings.HasPrefix(p, "etc/ca-certificates") || strings.HasPrefix(p, "usr/sbin") ||
				p == "usr/share/ca-certificates" || strings.HasPrefix(p, dir) && path.Ext(p) != ".crt"
		},
		take: func(e rootfs.Entry, body io.Reader) (bool, error) {
			if !strings.HasPrefix(e.Path, dir) {
				return false, nil
			}
			if e.Size > maxCertificate {
				return false, fmt.Errorf("%s has %d bytes, a certificate at most %d", e.Path, e.Size, maxCertificate)
			}
			data := make([]byte, e.Size, e.Size+1)
			_, err := io.ReadFull(body, data)
			pems[e.Path] = append(bytes.TrimSpace(data), '\n')
			size += len(pems[e.Path])
			return true, err
		},
		finish: func() ([]rootfs.Content, error) {
			bundle := bytes.NewBuffer(make([]byte, 0, size))
			for _, p := range slices.Sorted(maps.Keys(pems)) {
				bundle.Write(pems[p])
			}
			if bundle.Len() == 0 {
				return nil, errors.New("ca-certificates holds no certificate")
			}
			return []rootfs.Content{file(BundlePath, 0o644, bundle.Bytes())}, nil
		},
	}
}

// javaCertificates leaves out the program that would fill the keystore.
func javaCertificates(Package) *Effect {
	return &Effect{
		Does:  "/" + KeystorePath + " is written from the certificate bundle",
		Whole: []string{WholeKeystore},
		drop: func(p string) bool {
			return below(p, "etc/ca-certificates", "etc/default", "etc/ssl", "usr/share/ca-certificates-java")
		},
	}
}
