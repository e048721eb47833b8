package credential

import "testing"

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		secret      bool
	}{
		{"DB_PASSWORD", "hunter2", true},
		{"dbPassword", "hunter2", true},
		{"API_KEY", "abc123def", true},
		{"GITHUB_TOKEN", "x", true},
		{"DATABASE_URL", "postgres://app:hunter2@db/app", true},
		{"DATABASE_URL", "postgres://app@db/app", false},
		{"DB_PASSWORD_FILE", "/run/secrets/db", false},
		{"DB_PASSWORD", "/run/secrets/db", false},
		{"DB_PASSWORD", "${DB_PASSWORD}", false},
		{"DB_PASSWORD", "", false},
		{"PUBLIC_KEY", "abc", false},
		{"TOKEN_TTL", "3600", false},
		{"KEYBOARD", "de", false},
		{"MONKEY", "george", false},
		{"NODE_ENV", "production", false},
		{"X", "AKIAIOSFODNN7EXAMPLE", true},
		{"API_TOKEN_SOURCE", "awssm://prod/token", false},
		{"GPG_KEY", "0D96DF4D4110E5C43FBFB17F2D347EA6AA65421D", false},
		{"DB_PASSWORD", "vault://secret/db#password", false},
	} {
		if got := Of(tt.name, tt.value); (got != "") != tt.secret {
			t.Errorf("Of(%s, %s) = %q, want secret %v", tt.name, tt.value, got, tt.secret)
		}
	}
}

func FuzzIn(f *testing.F) {
	f.Add([]byte("x AKIAIOSFODNN7EXAMPLE y"))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF0qg3Ykg+Zx5pQ3l\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if found, ok := In(data); ok && (found.Offset < 0 || found.Offset >= len(data)) {
			t.Fatalf("offset %d of %d bytes", found.Offset, len(data))
		}
	})
}
