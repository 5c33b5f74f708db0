"""Contestants of the arithmetic's races: each library called as its documentation says, in its quickest documented way.

One module per problem, each with `CONTESTANTS`: name → prepare(inputs) → Entry. Preparing (building objects, columns,
flags) is not timed. Everything here also runs in the peers' environment, so only numpy is imported at the top.
"""
