//! What can go wrong when an appender reads what a handler said.

/// Why what a handler said cannot be read as it was asked for. The append itself is not concerned.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// No topology of that name reads the depot.
    #[error(
        "no topology `{topology}` reads the depot that was appended to; those that do: {known:?}"
    )]
    UnknownTopology {
        /// The name that was asked for.
        topology: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The value is of another type.
    #[error("topology `{topology}` gave a `{expected}`, not a `{got}`; ask for `{expected}`")]
    WrongType {
        /// The topology.
        topology: String,
        /// The type of its value.
        expected: String,
        /// The type that was asked for.
        got: String,
    },
    /// The type's own `Deserialize` refuses what its `Serialize` wrote.
    #[error("what topology `{topology}` gave cannot be decoded: {message}")]
    Decode {
        /// The topology.
        topology: String,
        /// What the decoder said.
        message: String,
    },
}
