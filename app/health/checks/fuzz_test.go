package checks

import "testing"

func FuzzCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN X-----\n-----END X-----"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		if certs, err := parseCertificates(text); (err == nil) != (len(certs) > 0) {
			t.Errorf("%d certificates, error %v", len(certs), err)
		}
	})
}
