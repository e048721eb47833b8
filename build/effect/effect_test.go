package effect_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/effect"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{"github.com/hardstand/hardstand/build/rootfs": "entries and contents"})
}

// apply passes files through a package's effect and describes what is left.
func apply(t *testing.T, p effect.Package, files map[string]string) (map[string]string, *effect.Effect) {
	t.Helper()
	e := effect.Of(p)
	got := map[string]string{}
	for name, body := range files {
		entry := rootfs.Entry{Path: name, Mode: 0o644, Size: int64(len(body))}
		if e.Drop(name) {
			continue
		}
		taken, err := e.Take(entry, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if !taken {
			got[name] = "kept"
		}
	}
	more, err := e.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range more {
		got[c.Path] = strings.Fields(c.String())[0] + " " + c.Link + string(c.Data)
	}
	return got, e
}

const applets = "\x7fELF...[\x00[[\x00ash\x00busybox\x00cat\x00sh\x00zcat\x00\x00rest"

func TestEffects(t *testing.T) {
	for _, tc := range []struct {
		pkg   effect.Package
		files map[string]string
		want  map[string]string
	}{
		{effect.Package{Name: "busybox-static"}, map[string]string{"usr/bin/busybox": applets, "usr/share/doc/busybox-static/copyright": "c"}, map[string]string{
			"busybox/busybox": "file " + applets, "busybox/[": "symlink busybox", "busybox/[[": "symlink busybox", "busybox/ash": "symlink busybox",
			"busybox/cat": "symlink busybox", "busybox/sh": "symlink busybox", "busybox/zcat": "symlink busybox", "usr/share/doc/busybox-static/copyright": "kept"}},
		{effect.Package{Name: "openjdk-21-jre-headless", Version: "21.0.9+10-1~deb13u1"}, map[string]string{
			"usr/lib/jvm/java-21-openjdk-amd64/bin/java": "j", "usr/lib/jvm/java-21-openjdk-amd64/lib/jexec": "x", "usr/lib/jvm/java-21-openjdk-amd64/lib/modules": "m"},
			map[string]string{"usr/lib/jvm/java-21-openjdk-amd64/bin/java": "kept", "usr/lib/jvm/java-21-openjdk-amd64/lib/jexec": "kept",
				"usr/lib/jvm/java-21-openjdk-amd64/lib/modules": "kept", "etc/alternatives/java": "symlink /usr/lib/jvm/java-21-openjdk-amd64/bin/java",
				"etc/alternatives/jexec": "symlink /usr/lib/jvm/java-21-openjdk-amd64/lib/jexec", "usr/bin/java": "symlink /etc/alternatives/java",
				"usr/bin/jexec": "symlink /etc/alternatives/jexec", "etc/.java/.systemPrefs/.system.lock": "file ", "etc/.java/.systemPrefs/.systemRootModFile": "file "}},
		{effect.Package{Name: "openjdk-21-jdk-headless", Version: "21.0.9+10-1~deb13u1"}, map[string]string{"usr/lib/jvm/java-21-openjdk-amd64/bin/javac": "j"},
			map[string]string{"usr/lib/jvm/java-21-openjdk-amd64/bin/javac": "kept", "etc/alternatives/javac": "symlink /usr/lib/jvm/java-21-openjdk-amd64/bin/javac",
				"usr/bin/javac": "symlink /etc/alternatives/javac"}},
		{effect.Package{Name: "fontconfig-config"}, map[string]string{"usr/share/fontconfig/conf.avail/10-hinting-slight.conf": "x", "etc/fonts/fonts.conf": "f"}, map[string]string{
			"usr/share/fontconfig/conf.avail/10-hinting-slight.conf": "kept", "etc/fonts/fonts.conf": "kept",
			"etc/fonts/conf.d/10-hinting-slight.conf": "symlink /usr/share/fontconfig/conf.avail/10-hinting-slight.conf"}},
		{effect.Package{Name: "readline-common"}, map[string]string{"usr/share/readline/inputrc": "keys"},
			map[string]string{"usr/share/readline/inputrc": "file keys", "etc/inputrc": "file keys"}},
		{effect.Package{Name: "nodejs"}, map[string]string{"usr/bin/node": "n"}, map[string]string{"usr/bin/node": "kept", "usr/bin/js": "symlink /etc/alternatives/js",
			"etc/alternatives/js": "symlink /usr/bin/nodejs", "nodejs/bin/node": "symlink /usr/bin/node"}},
		{effect.Package{Name: "python3.13-minimal"}, map[string]string{"usr/bin/python3.13": "p", "usr/share/applications/p.desktop": "d"},
			map[string]string{"usr/bin/python3.13": "kept", "usr/local/lib/python3.13/dist-packages": "dir "}},
		{effect.Package{Name: "ca-certificates-java"}, map[string]string{"usr/share/ca-certificates-java/x.jar": "j", "etc/ca-certificates/update.d/jks-keystore": "s"}, map[string]string{}},
	} {
		t.Run(tc.pkg.Name, func(t *testing.T) {
			tc.pkg.Scripts = []string{"postinst"}
			got, e := apply(t, tc.pkg, tc.files)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if e.Does == "" || len(e.Unhandled) != 0 {
				t.Errorf("it says %q and leaves %v", e.Does, e.Unhandled)
			}
		})
	}
}

func TestUnknownScripts(t *testing.T) {
	e := effect.Of(effect.Package{Name: "odd", Scripts: []string{"config", "postinst", "postrm", "preinst", "prerm"}})
	if diff := cmp.Diff([]string{"config", "postinst", "preinst"}, e.Unhandled); diff != "" || e.Does != "" {
		t.Error(e.Does, diff)
	}
	if e := effect.Of(effect.Package{Name: "libssl3t64"}); e.Does != "" {
		t.Errorf("a package without scripts says %q", e.Does)
	}
	java := effect.Of(effect.Package{Name: "openjdk-25-jre-headless", Version: "25.0.3+9-2~deb13u1"})
	if java.Environment["JAVA_VERSION"] != "25.0.3" {
		t.Errorf("environment %v", java.Environment)
	}
}

func TestAppletsRefuses(t *testing.T) {
	for name, program := range map[string]string{
		"no list":  "ELF",
		"no shell": "[\x00[[\x00cat\x00\x00",
		"a path":   "[\x00[[\x00sh\x00../../etc/x\x00\x00",
		"a dot":    "[\x00[[\x00sh\x00..\x00\x00",
		"no end":   "[\x00[[\x00sh\x00" + strings.Repeat("a\x00", 2000),
	} {
		if list, err := effect.Applets([]byte(program)); err == nil {
			t.Errorf("%s: %q", name, list)
		}
	}
}

func FuzzApplets(f *testing.F) {
	f.Add([]byte(applets))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := effect.Applets(data)
		for _, name := range names {
			if err == nil && (name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00")) {
				t.Errorf("applet %q", name)
			}
		}
	})
}

func bundle(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	for i, subject := range []pkix.Name{{CommonName: "Zebra CA"}, {Organization: []string{"Ärger & Co"}}, {CommonName: "Alpha CA"}} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: subject, NotBefore: time.Unix(1_600_000_000+int64(i), 0), NotAfter: time.Unix(2_000_000_000, 0)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestKeystore reads the keystore back as its format says.
func TestKeystore(t *testing.T) {
	pems := bundle(t)
	data, err := effect.Keystore(pems)
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := effect.Keystore(append(bytes.Clone(pems), pems...)); err != nil || !bytes.Equal(data, twice) {
		t.Errorf("the same certificates give other bytes: %v", err)
	}
	body, sum := data[:len(data)-sha1.Size], data[len(data)-sha1.Size:]
	h := sha1.New()
	for _, c := range "changeit" {
		h.Write([]byte{0, byte(c)})
	}
	h.Write([]byte("Mighty Aphrodite"))
	h.Write(body)
	if !bytes.Equal(h.Sum(nil), sum) {
		t.Error("the checksum is wrong")
	}
	r := bytes.NewReader(body)
	number := func(size int) (n uint64) {
		b := make([]byte, 8)
		if _, err := io.ReadFull(r, b[8-size:]); err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.Uint64(b)
	}
	text := func(size int) string {
		b := make([]byte, number(size))
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if magic, version, n := number(4), number(4), number(4); magic != 0xfeedfeed || version != 2 || n != 3 {
		t.Fatalf("header %x %d %d", magic, version, n)
	}
	var names []string
	for range 3 {
		tag, alias, date := number(4), text(2), int64(number(8))
		kind, der := text(2), text(4)
		cert, err := x509.ParseCertificate([]byte(der))
		if err != nil || tag != 2 || kind != "X.509" || date != cert.NotBefore.UnixMilli() {
			t.Errorf("entry %s: tag %d, %s, date %d, %v", alias, tag, kind, date, err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(alias, "debian:"), "-")
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"_rger___co", "alpha_ca", "zebra_ca"}, names); diff != "" || r.Len() != 0 {
		t.Error(diff, r.Len())
	}
	for name, bad := range map[string]string{"empty": "", "key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "damaged": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"} {
		if _, err := effect.Keystore([]byte(bad)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
