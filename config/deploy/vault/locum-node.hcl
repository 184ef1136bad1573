# What a node of Locum may do in Vault or OpenBao: look up what a login needs, keep the refresh tokens that it obtains itself,
# share the keys of TLS tickets, and tell who still uses a credential that was replaced. It cannot find out whose mailboxes there are, and what it reads it cannot change. `locum` is the mount.

# One segment (`+`) and no deeper: a record lies right below the folder of its kind.
# No list, and no metadata: a node knows the records of those who log in, and no others.
path "locum/data/accounts/+" {
  capabilities = ["read"]
}
path "locum/data/clients/+" {
  capabilities = ["read"]
}
path "locum/data/tenants/+" {
  capabilities = ["read"]
}

# Who may sign in to the API and the console of this node (`[admin]`): by whom a token is, never who there is.
path "locum/data/operators/+" {
  capabilities = ["read"]
}

# A provider may hand out a new refresh token at any refresh.
path "locum/data/tokens/+" {
  capabilities = ["create", "read", "update"]
}

# Who still uses the credential before the current one: each node writes a record of its own, under a name that it draws by
# lot. Without this all is served as well, and `locum report rotation` knows nothing of this node.
path "locum/data/usage/+" {
  capabilities = ["create", "read", "update"]
}

# Which clients come in and how: all nodes add to what is counted there. Without this all is served as well, and `locum report
# usage` knows nothing of this node.
path "locum/data/seen/+" {
  capabilities = ["create", "read", "update"]
}

# The keys under which nodes seal the tickets of TLS sessions: any of them renews them for all. Without this all is served as well,
# and a session is resumed at the node where it began, and at no other.
path "locum/data/tickets/+" {
  capabilities = ["create", "read", "update"]
}

# Which records were written lately: it is told, and has nothing to tell.
path "locum/data/changes/+" {
  capabilities = ["read"]
}

# That the mount is a KV engine of version 2 is proved without a grant, by sys/internal/ui/mounts; this is the proof where
# a proxy or a policy of the house keeps that away.
path "locum/config" {
  capabilities = ["read"]
}

# To look at its own token and to renew it, a node has the policy `default`, which every token gets unless it is refused.
