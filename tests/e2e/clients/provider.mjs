// A real OpenID Connect provider on 127.0.0.1 for tests: node provider.mjs <port> <redirect uri>.
// Whoever types a login is that person: sub and e-mail address are the login. "unproven+…" has an
// address that nobody proved, "mailless…" has none. Keys are new with every start.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const [port, redirect] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig" };

function claims(login) {
  if (login.startsWith("mailless")) return { sub: login };
  const email = login.replace(/^unproven\+/, "");
  return { sub: login, email, email_verified: email === login, name: "Anna Blume" };
}

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "syncsphere",
      client_secret: "a secret: with a colon & more",
      redirect_uris: [redirect],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: [randomUUID()] },
  jwks: { keys: [key] },
  findAccount: (_context, id) => ({ accountId: id, claims: () => claims(id) }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
