// Package secret reads the secrets of a program from where they live: the
// environment on a developer's machine, a mounted file, systemd's credentials, a
// vault in production.
//
//	password, err := secret.Open(ctx, "database password", secret.Options[string]{
//		Sources: []secret.Source{
//			secret.EnvOnce("DB_PASSWORD"),
//			secret.File("/run/secrets/db-password", secret.FileOptions{}),
//		},
//		Refresh:  5 * time.Minute,
//		OnRotate: func(_, now secret.String) { pool.SetPassword(now.Reveal()) },
//	})
//
// Sources are asked in order. One that does not have the secret is passed over;
// one that has it and cannot give it is an error, because a program that takes
// its second choice unnoticed may run with the wrong credential.
//
// A Value does not print: fmt, encoding/json, log/slog and their like see
// "[secret]". Errors of this package name the secret and its source, never a
// byte of it.
//
// The package must not start programs, and must not import anything outside the
// standard library. The secret stores of clouds that need an SDK are in modules
// beside it: secretaws, secretgcp, secretazure.
package secret
